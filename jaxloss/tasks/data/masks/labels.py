"""What the numbers in a mask mean: which class, or void."""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Iterable, Mapping

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.source import MAX_CLASSES, VOID, mask_class_names

# No class has this number.
_UNKNOWN = MAX_CLASSES


@dataclasses.dataclass(frozen=True)
class LabelNumbers:
    """The class of each number that a mask may hold.

    Attributes:
      classes: number in the mask -> class from 0, or `source.VOID`.
    """

    classes: Mapping[int, int]

    @classmethod
    def create(cls, num_classes: int, numbers: Iterable[int] | None = None, void: Iterable[int] = (VOID,)) -> "LabelNumbers":
        """The numbers of the classes, in their order, and those that are void.

        Args:
          num_classes: `C`.
          numbers: of the classes in the mask; None for 0 to `C` - 1.
          void: numbers without a class.

        Raises:
          UserError: for another number of numbers than of classes, and for a number that is given twice.
        """
        numbers, void = list(range(num_classes) if numbers is None else numbers), set(void)
        if len(numbers) != num_classes:
            raise UserError(f"{len(numbers)} label numbers are given for {num_classes} classes")
        twice = [number for index, number in enumerate(numbers) if number in numbers[:index] or number in void]
        if twice:
            raise UserError(f"the label number {twice[0]} is given twice: for a class, and for another class or void")
        return cls({**dict.fromkeys(void, VOID), **{number: index for index, number in enumerate(numbers)}})

    def decode(self, numbers: np.ndarray, origin: str) -> np.ndarray:
        """The class of each pixel, uint8 `[H, W]`, `source.VOID` where there is none.

        Args:
          numbers: integers or bool `[H, W]`.
          origin: of the mask, for the error line.

        Raises:
          UserError: for numbers that are no integers, and for one that has no class.
        """
        numbers = numbers.astype(np.uint8) if numbers.dtype == bool else numbers
        if numbers.ndim != 2 or not np.issubdtype(numbers.dtype, np.integer):
            raise UserError(f"mask {origin} must hold integers [H, W], not {numbers.dtype} {list(numbers.shape)}")
        if numbers.dtype == np.uint8:
            found = self._table[numbers]
        else:
            values, places = np.unique(numbers, return_inverse=True)
            classes = np.array([self.classes.get(int(value), _UNKNOWN) for value in values], np.uint8)
            found = classes[places].reshape(numbers.shape)
        wrong = numbers[found == _UNKNOWN]
        if wrong.size:
            raise UserError(f"mask {origin} holds the label {wrong[0]}, and the labels are {self._in_words()}")
        return found

    @functools.cached_property
    def _table(self) -> np.ndarray:
        return np.array([self.classes.get(number, _UNKNOWN) for number in range(256)], np.uint8)

    def _in_words(self) -> str:
        numbers = sorted(number for number, index in self.classes.items() if index != VOID)
        void = sorted(number for number, index in self.classes.items() if index == VOID)
        return f"{_ranges(numbers)}, and {_ranges(void) or 'no number'} for void"


def parse_numbers(text: str, option: str) -> list[int]:
    """Label numbers as a user writes them, `1-150` or `0,255`, as a list.

    Args:
      text: numbers and ranges with commas between them; a number may be negative.
      option: that the text is of, for the error line.

    Raises:
      UserError: for a text of another form.
    """
    numbers = []
    for part in filter(None, re.split(r"[,\s]+", text.strip())):
        match = re.fullmatch(r"(-?\d+)(?:-(\d+))?", part)
        if match is None:
            raise UserError(f"the source option '{option}' takes label numbers such as 0,255 or 1-150, not '{text}'")
        first = int(match[1])
        numbers += range(first, int(match[2] or first) + 1)
    return numbers


def parse_class_names(text: str, folder: pathlib.Path | None, option: str = "classes") -> tuple[str, ...]:
    """The names of the classes as a user gives them.

    Args:
      text: a text file with a name in each line (in `folder`, or from the working folder), names with commas between them, or how
        many classes there are.
      folder: where the file may lie, or None.
      option: that the text is of, for the error line.

    Raises:
      UserError: for a file that is absent, and see `mask_class_names`.
    """
    origin = f"the source option '{option}'"
    if text.strip().isdecimal():
        return mask_class_names([str(index) for index in range(min(int(text), MAX_CLASSES + 1))], origin)
    for path in ([folder / text] if folder else []) + [pathlib.Path(text).expanduser()]:
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            return mask_class_names([line for line in lines if line.strip()], str(path))
    if "," not in text and text.strip():
        raise UserError(f"{origin} takes a file with a name in each line, names with commas between them, or a number: '{text}'")
    return mask_class_names([name for name in text.split(",") if name.strip()], origin)


def _ranges(numbers: list[int]) -> str:
    """Sorted numbers in words: `0 to 10, 255`."""
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    parts = np.split(np.array(numbers, int), breaks) if numbers else []
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in parts)
