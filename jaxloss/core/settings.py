"""Settings: frozen dataclasses that are the only schema of the configuration.

A field says what its key means, what it may be, and when it acts; defaults, checks, errors and help all come from there:

    @dataclasses.dataclass(frozen=True)
    class EvolutionSettings(Settings, section="search.evolution"):
        \"\"\"Tournament selection among the most recent individuals.\"\"\"

        population_size: int = setting(2500, "Only so many of the most recent individuals may become parents", low=1, high=10**9)
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

from jaxloss.core.conditions import Condition
from jaxloss.core.errors import UserError, unknown

_SETTING = "setting"


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What a key is, but for its default.

    Attributes:
      meaning: one line for people, without a full stop.
      low: the smallest number, or None where it is no number.
      high: the largest number; beyond it is a slip of the keyboard, which would end in an overflow or never.
      choices: the values it may have; empty where it may have any.
      check: `(key, value)`, raises a `UserError` for a value that is wrong for another reason.
      may_change: whether it may differ when a run is continued.
      several: whether it takes one value, or a sequence with one for each channel or class.
      is_options: whether it is a section that takes any key.
      acts_when: the conditions under which it is read at all.
      formerly: the keys that it had in earlier versions.
      drawn: `(settings, seed of the run) -> value`, what its default stands for where it follows from the seed; see
        `Settings.drawn`.
    """

    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    check: Callable[[str, Any], None] | None = None
    may_change: bool = False
    several: bool = False
    is_options: bool = False
    acts_when: tuple[Condition, ...] = ()
    formerly: tuple[str, ...] = ()
    drawn: Callable[[Any, int], Any] | None = None


def setting(default: Any, meaning: str, *, choices: Sequence[Any] | Mapping[Any, Any] = (), **rest: Any) -> Any:
    """A field of a settings dataclass.

    Args:
      default: the only place where it stands.
      meaning: see `Declaration`.
      choices: a registry will do.
      **rest: see `Declaration`.
    """
    declared = Declaration(meaning, choices=tuple(choices), **rest)
    if (declared.low is None) != (declared.high is None):
        raise ValueError(f"a range has two ends: {meaning}")
    return dataclasses.field(default=default, metadata={_SETTING: declared})


def options(meaning: str, **rest: Any) -> Any:
    """A field that takes any keys: what only the part that it is for can judge."""
    declared = Declaration(meaning, is_options=True, **rest)
    return dataclasses.field(default_factory=dict, metadata={_SETTING: declared})


class Settings:
    """Base of the settings of one section. An instance is checked as it is made.

    Rules between two keys stand in the `__post_init__` of the class, after a call of this one's.

    Attributes:
      section: the dotted name, empty for the top level.
      acts_when: the conditions under which anything of the section is read.
      reads: keys of other sections, or whole sections, that act only through the part that has these settings.
      gone: keys that earlier versions had, and what takes their place: a sentence without its first capital and full stop.
    """

    section: ClassVar[str] = ""
    acts_when: ClassVar[tuple[Condition, ...]] = ()
    reads: ClassVar[tuple[str, ...]] = ()
    gone: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(
        cls,
        section: str,
        acts_when: tuple[Condition, ...] = (),
        reads: tuple[str, ...] = (),
        gone: Mapping[str, str] | None = None,
    ):
        """A subclass names its section."""
        cls.section, cls.acts_when, cls.reads, cls.gone = section, acts_when, reads, gone or {}

    def __post_init__(self):
        for name, declared in declarations(type(self)).items():
            check_value(self.key(name), declared, getattr(self, name))

    def drawn(self, seed: int) -> Self:
        """The same settings, in which what is left to the seed of the run has its value; once they have it, nothing changes."""
        unset = defaults(type(self))
        left = {
            name: one.drawn for name, one in declarations(type(self)).items() if one.drawn and getattr(self, name) == unset[name]
        }
        return dataclasses.replace(self, **{name: value_of(self, seed) for name, value_of in left.items()})

    @classmethod
    def key(cls, name: str) -> str:
        """The dotted key of a field."""
        return f"{cls.section}.{name}" if cls.section else name


@functools.cache
def declarations(settings: type[Settings]) -> dict[str, Declaration]:
    """Field -> what was declared of it."""
    return {field.name: field.metadata[_SETTING] for field in dataclasses.fields(settings) if _SETTING in field.metadata}


def parts(settings: type[Settings]) -> dict[str, type[Settings]]:
    """Field -> the class of a section of its own inside this one."""
    return {field.name: field.default_factory for field in dataclasses.fields(settings) if _SETTING not in field.metadata}


def defaults(settings: type[Settings]) -> dict[str, Any]:
    """Field -> default."""
    made = settings()
    return {name: getattr(made, name) for name in declarations(settings)}


def check_value(key: str, declared: Declaration, value: Any) -> None:
    """Checks one value against its declaration.

    Raises:
      UserError: names the key.
    """
    if declared.low is not None:
        _check_range(key, declared, value)
    if declared.choices and value not in declared.choices:
        raise unknown(key, value, declared.choices)
    if declared.check is not None:
        declared.check(key, value)


def _check_range(key: str, declared: Declaration, value: Any) -> None:
    low, high = declared.low, declared.high
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise UserError(f"config key {key} must be a number from {low} to {high}, not {value}")
    if not low <= value <= high:
        bound = f"at least {low}" if value < low else f"at most {high}"
        raise UserError(f"config key {key} must be {bound}, not {value}")


# --- checks of single keys that a range cannot say ---------------------------------------------------------------------------


def are_finite(key: str, value: Any) -> None:
    """One finite number, or several."""
    if not all(is_finite(one) for one in (value if isinstance(value, tuple | list) else [value])):
        raise UserError(f"config key {key} must be finite, not {value}")


def are_positive(key: str, value: Any) -> None:
    """One finite number above 0, or several."""
    are_finite(key, value)
    if min(value if isinstance(value, tuple | list) else [value], default=1.0) <= 0:
        raise UserError(f"config key {key} must be above 0, not {value}")


def are_pixels(key: str, value: Any) -> None:
    """One number from 0 to 1, or one for each of three channels."""
    are_finite(key, value)
    values = value if isinstance(value, tuple | list) else [value]
    if len(values) not in (1, 3):
        raise UserError(f"{key.rpartition('.')[2]} takes one number, or one for each of 3 channels, not {value}")
    if not all(0 <= one <= 1 for one in values):
        raise UserError(f"config key {key} must be from 0 to 1, not {value}")


def are_different(what: str) -> Callable[[str, Any], None]:
    """Strings, none of them twice; `what` is what they are."""

    def check(key: str, values: Sequence[Any]) -> None:
        wrong = [value for value in values if not isinstance(value, str)]
        if wrong:
            raise UserError(f"config key {key} takes {what}, not {wrong[0]!r}")
        twice = [value for index, value in enumerate(values) if value in values[:index]]
        if twice:
            raise UserError(f"config key {key} names '{twice[0]}' twice")

    return check


def is_known_or(registered: Collection[str], outside: str) -> Callable[[str, Any], None]:
    """A name of a registry, several of them, or what is named in the way of `outside`, such as `module:factory`."""

    def check(key: str, value: Any) -> None:
        for name in value if isinstance(value, tuple | list) else [value]:
            if name not in registered and ":" not in str(name):
                raise unknown(key, name, [*registered, outside])

    return check


def is_finite(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
