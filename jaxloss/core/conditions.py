"""When a key acts: conditions on the rest of the configuration, declared beside the key."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

# Parts that may say of keys of other sections that they read them.
TASK, SPACE = "task", "space"


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a run asks for, as far as conditions look at it.

    Attributes:
      values: dotted key -> value.
      reads: part -> keys and sections that it reads in this run; None where only the part itself would know.
      readers: `(part) -> {name in its registry: keys and sections that it would read}`.
    """

    values: Mapping[str, Any]
    reads: Mapping[str, frozenset[str] | None]
    readers: Callable[[str], Mapping[str, frozenset[str]]]


class Condition(Protocol):
    """A condition under which a key is read.

    Attributes:
      is_preset: whether a config file may set the key all the same, for runs of other modes with the same file.
    """

    is_preset: bool

    def words(self, key: str, asked: Asked) -> str:
        """The condition for people, such as `training.schedule=steps`."""
        ...

    def unmet(self, key: str, asked: Asked) -> str | None:
        """Why the key is not read in this run; None where the condition holds."""
        ...


@dataclasses.dataclass(frozen=True)
class When:
    """What another key has to be.

    Attributes:
      other: its dotted name.
      holds: of its value.
      wanted: its values for people.
      is_preset: see `Condition`.
    """

    other: str
    holds: Callable[[Any], bool]
    wanted: str
    is_preset: bool = False

    def words(self, key: str, asked: Asked) -> str:
        """See `Condition.words`."""
        del key, asked
        return self.wanted

    def unmet(self, key: str, asked: Asked) -> str | None:
        """See `Condition.unmet`."""
        del key
        value = asked.values[self.other]
        # A part is read by its name, a key with the value of another one.
        link = "by" if self.other.endswith(".name") else "with"
        return None if self.holds(value) else f"it is read {link} {self.wanted}, and this run has {self.other}={shown(value)}"


@dataclasses.dataclass(frozen=True)
class Where:
    """A condition that is only asked where another one holds; elsewhere the key is read whatever it says.

    Attributes:
      first: has to hold for the other to be asked.
      then: has to hold in these runs.
      is_preset: see `Condition`.
    """

    first: Condition
    then: Condition
    is_preset: bool = False

    def words(self, key: str, asked: Asked) -> str:
        """See `Condition.words`."""
        return f"{self.then.words(key, asked)} (where {self.first.words(key, asked)})"

    def unmet(self, key: str, asked: Asked) -> str | None:
        """See `Condition.unmet`."""
        return self.then.unmet(key, asked) if self.first.unmet(key, asked) is None else None


@dataclasses.dataclass(frozen=True)
class ReadBy:
    """The task, or the space, of the run has to be one that reads the key."""

    part: str
    is_preset: bool = False

    def words(self, key: str, asked: Asked) -> str:
        """See `Condition.words`."""
        names = [name for name, reads in asked.readers(self.part).items() if covers(reads, key)]
        return " or ".join(f"{self.part}.name={name}" for name in names) or f"a {self.part} that names it among what it reads"

    def unmet(self, key: str, asked: Asked) -> str | None:
        """See `Condition.unmet`."""
        reads = asked.reads[self.part]
        name = asked.values[f"{self.part}.name"]
        known = reads is not None and not covers(reads, key)
        return f"it is read by {self.words(key, asked)}, and this run has {self.part}.name={name}" if known else None


@dataclasses.dataclass(frozen=True)
class Never:
    """Nothing of a run reads the key: it is for those who call the part themselves.

    Attributes:
      instead: what decides in a run.
      is_preset: see `Condition`.
    """

    instead: str
    is_preset: bool = False

    def words(self, key: str, asked: Asked) -> str:
        """See `Condition.words`."""
        del key, asked
        return f"no run: {self.instead}"

    def unmet(self, key: str, asked: Asked) -> str | None:
        """See `Condition.unmet`."""
        del key, asked
        return self.instead


def covers(reads: frozenset[str], key: str) -> bool:
    """Whether a key, or a section that it is in, is among those that are read."""
    return any(key == one or key.startswith(f"{one}.") for one in reads)


def when(other: str, *values: Any, is_preset: bool = False) -> When:
    """Another key has one of some values."""
    *most, last = map(shown, values)
    wanted = f"{', '.join(most)} or {last}" if most else last
    return When(other, lambda value: value in values, f"{other}={wanted}", is_preset)


def unless(other: str, value: Any) -> When:
    """Another key has any other value than this."""
    return When(other, lambda given: given != value, f"another {other} than {shown(value) or repr(value)}")


def in_mode(*modes: str, is_preset: bool = True) -> When:
    """The run has one of some modes. A config file serves runs of all modes, a command line only its own."""
    return when("mode", *modes, is_preset=is_preset)


def shown(value: Any) -> str:
    """A value as it is written on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
