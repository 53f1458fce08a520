"""The points of a sweep: what each run changes in the config of the file."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.errors import UserError, unknown

_EXPECTED = "get_sweep() must return {key: [values]} for all combinations, or [{key: value}, ...] for single runs"


@dataclasses.dataclass(frozen=True)
class Point:
    """One run.

    Attributes:
      name: of its directory, made of what differs between the points: `noise_rate=0.4,seed=1`.
      overrides: dotted key -> text, as on the command line.
    """

    name: str
    overrides: Mapping[str, str]


def points_of(sweep: Any) -> list[Point]:
    """The points that a `get_sweep()` asks for.

    Args:
      sweep: dotted key -> list of values, for all combinations; or a list of mappings dotted key -> value.

    Raises:
      UserError: it is neither, it is empty, or two points are the same.
    """
    if isinstance(sweep, Mapping):
        if not all(isinstance(values, Sequence) and not isinstance(values, str) for values in sweep.values()):
            raise UserError(f"{_EXPECTED}: a value is no list")
        combinations = itertools.product(*([(key, value) for value in values] for key, values in sweep.items()))
        chosen = [dict(one) for one in combinations] if sweep else []
    elif isinstance(sweep, Sequence) and all(isinstance(one, Mapping) for one in sweep):
        chosen = [dict(one) for one in sweep]
    else:
        raise UserError(f"{_EXPECTED}, not {sweep!r}")
    if not chosen:
        raise UserError(f"{_EXPECTED}: there is no point in it")
    texts = [{str(key): _text(value) for key, value in one.items()} for one in chosen]
    varying = [key for key in dict.fromkeys(itertools.chain(*texts)) if len({one.get(key) for one in texts}) > 1]
    short = _short_names(varying)
    names = [_name({short[key]: one[key] for key in varying if key in one}) for one in texts]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two points of the sweep are the same: {twice}")
    return [Point(name, one) for name, one in zip(names, texts, strict=True)]


def chosen_points(points: Sequence[Point], where: Mapping[str, str]) -> list[Point]:
    """The points that have these values.

    Args:
      points: of the sweep.
      where: dotted key, or the end of one, -> text of its value.

    Raises:
      UserError: for a key that no point has, and where no point has these values.
    """
    keys = list(dict.fromkeys(itertools.chain(*(point.overrides for point in points))))
    chosen = list(points)
    for name, value in where.items():
        meant = [key for key in keys if key == name or key.endswith(f".{name}")]
        if len(meant) != 1:
            raise unknown("key of the sweep", name, keys)
        chosen = [point for point in chosen if point.overrides.get(meant[0]) == value]
    if not chosen:
        raise UserError(f"no point of the sweep has {', '.join(f'{key}={value}' for key, value in where.items())}")
    return chosen


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each dotted key -> its last parts, as many as tell it from the others."""
    short = {}
    for key in keys:
        parts = key.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        short[key] = next(end for end in ends if sum(other == end or other.endswith(f".{end}") for other in keys) == 1)
    return short


def _name(values: Mapping[str, str]) -> str:
    """Fit for a directory on any file system."""
    return ",".join(f"{key}={re.sub(r'[^A-Za-z0-9._+-]+', '_', value).strip('_')[:60]}" for key, value in values.items()) or "run"
