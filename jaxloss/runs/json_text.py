"""JSON text that gives every float back exactly, NaN and the infinities included.

NaN, Infinity and -Infinity stand as bare words, as in Python's `json`; what other programs read goes through `without_nan`.
"""

import json
import math
from collections.abc import Mapping
from typing import Any


def _plain(value: Any) -> Any:
    """NumPy and JAX arrays and scalars become (nested lists of) Python numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def without_nan(value: Any) -> Any:
    """The value with None for NaN and the infinities, for files that other programs read: in JSON there is neither."""
    if isinstance(value, Mapping):
        return {name: without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return without_nan(value.tolist()) if hasattr(value, "tolist") else value


def dumps(value: Any, sort_keys: bool = True, indent: int | None = None) -> str:
    """Returns `value` as JSON text; floats are written by `repr`, so that `loads` returns the same bits.

    Tuples and arrays come back as lists, and keys of dictionaries as text.

    Args:
      value: dictionaries, lists, text, numbers, None, and NumPy or JAX arrays.
      sort_keys: whether equal dictionaries give equal text, whatever their order.
      indent: spaces per level for people to read; None writes one line.

    Raises:
      TypeError: a value of another kind.
    """
    return json.dumps(value, sort_keys=sort_keys, indent=indent, ensure_ascii=False, default=_plain)


def loads(text: str | bytes) -> Any:
    """The inverse of `dumps`. Raises `ValueError` where `text` is no JSON."""
    return json.loads(text)
