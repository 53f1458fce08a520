"""Random changes of batches by name, with their settings."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.types import Array

Batch = Mapping[str, Array]


def make_augmentation(
    known: Mapping[str, Callable[..., Batch] | None], name: str, options: Mapping[str, Any]
) -> Callable[[Batch, Array], Batch] | None:
    """`(batch, key) -> batch` of a registry with its settings; None for that of nothing.

    Args:
      known: name -> `(batch, key, **settings) -> batch`, or None.
      name: in it.
      options: settings beyond batch and key.

    Raises:
      UserError: for an unknown name, for a setting that the augmentation does not have, and for one that is missing.
    """
    if name not in known:
        raise unknown("augmentation", name, known)
    augment = known[name]
    if augment is None:
        return None
    parameters = {key: one for key, one in inspect.signature(augment).parameters.items() if key not in ("batch", "key")}
    for option in options:
        if option not in parameters:
            raise unknown(f"option of the augmentation '{name}'", option, parameters)
    missing = [key for key, one in parameters.items() if one.default is inspect.Parameter.empty and key not in options]
    if missing:
        raise UserError(f"the augmentation '{name}' needs the option {missing[0]}")
    return functools.partial(augment, **options)
