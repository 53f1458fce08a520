"""Masks in which a colour tells the class: the table of colours, and reading by it."""

import dataclasses
import pathlib
import re

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.source import VOID, mask_class_names

_VOID_NAMES = ("void", "ignore", "unlabelled", "unlabeled")
_COLOUR = re.compile(r"(?<![\w.])(\d+)[\s,;]+(\d+)[\s,;]+(\d+)(?![\w.])")


@dataclasses.dataclass(frozen=True)
class ColourTable:
    """The class of each colour.

    Attributes:
      codes: int32 `[K]`, ascending: red * 65536 + green * 256 + blue.
      classes: uint8 `[K]`, the class of each, or `source.VOID`.
      class_names: `[C]`.
      origin: of the table, for error lines.
    """

    codes: np.ndarray
    classes: np.ndarray
    class_names: tuple[str, ...]
    origin: str

    def decode(self, pixels: np.ndarray, origin: str) -> np.ndarray:
        """The class of each pixel, uint8 `[H, W]`.

        Args:
          pixels: uint8 `[H, W, 3]`.
          origin: of the mask, for the error line.

        Raises:
          UserError: for a colour that the table lacks.
        """
        codes = pixels.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
        places = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        wrong = np.argwhere(self.codes[places] != codes)
        if len(wrong):
            row, column = wrong[0]
            raise UserError(
                f"mask {origin} holds the colour {' '.join(map(str, pixels[row, column]))} (row {row}, column {column}), which "
                f"{self.origin} lacks"
            )
        return self.classes[places]


def parse_colours(text: str, folder: pathlib.Path) -> ColourTable:
    """A table of colours as a user gives it.

    A line is a colour (red, green and blue, 0 to 255) with the name of its class before or behind it, such as `road 128 64 128`
    or `128,64,128,road`. Classes are numbered in the order of the lines; several colours may have one name. The names void,
    ignore and unlabelled are no class. Lines without a colour, such as a heading, are passed over where they come first.

    Args:
      text: a file of such lines (in `folder`, or from the working folder), or the lines themselves with semicolons between them.
      folder: where the file may lie.

    Raises:
      UserError: for a text or a line of another form, a colour that occurs twice, and a table without a class.
    """
    origin, lines = "the table of the source option 'colours'", text.split(";")
    for path in (folder / text, pathlib.Path(text).expanduser()):
        # A long table is no file name, and to ask whether it is one raises an error.
        if len(text) < 256 and path.is_file():
            origin, lines = str(path), path.read_text(encoding="utf-8", errors="replace").splitlines()
            break
    else:
        if not _COLOUR.search(text):
            raise UserError(f"the source option 'colours' takes a file, or colours such as road 128 64 128; sky 0 0 0: '{text}'")
    names: list[str] = []
    classes: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        match = _COLOUR.search(line)
        name = "" if match is None else (line[: match.start()] + line[match.end() :]).strip(" \t,;:\"'")
        if match is None and (not classes or not line.strip() or line.lstrip().startswith("#")):
            continue
        if match is None or not name or max(map(int, match.groups())) > 255:
            raise UserError(f"{origin}: line {number} is no colour with a class, such as road 128 64 128, but '{line.strip()}'")
        red, green, blue = map(int, match.groups())
        if (code := red * 65536 + green * 256 + blue) in classes:
            raise UserError(f"{origin}: line {number} gives the colour {red} {green} {blue} for the second time")
        if name.lower() in _VOID_NAMES:
            classes[code] = VOID
        else:
            if name not in names:
                names.append(name)
            classes[code] = names.index(name)
    codes = sorted(classes)
    table = np.array([classes[code] for code in codes], np.uint8)
    return ColourTable(np.array(codes, np.int32), table, mask_class_names(names, origin), origin)
