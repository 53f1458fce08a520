"""Image and mask files: which belong together, and reading them."""

import functools
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.image_files import SUFFIXES, image_paths, opened_image
from jaxloss.tasks.data.masks.colours import ColourTable
from jaxloss.tasks.data.masks.labels import LabelNumbers
from jaxloss.tasks.data.masks.pairs import Pair

# JPEG would change the numbers.
MASK_SUFFIXES = (".bmp", ".png", ".tif", ".tiff")
# Modes of Pillow in which a pixel is one number; those of a palette are the places in it.
_WIDE = ("I", "I;16", "I;16B", "I;16L", "F")
_NUMBERED = ("1", "L", "P", *_WIDE)

# `(mask file) -> uint8 [H, W]`, the class of each pixel.
MaskReader = Callable[[pathlib.Path], np.ndarray]


def file_pair(image: pathlib.Path, mask: pathlib.Path, read_mask: MaskReader, name: str | None = None) -> Pair:
    """An image file with its mask; its name is that of the image, unless another is given."""
    return Pair(name or image.stem, str(image), str(mask), functools.partial(_read_pair, image, mask, read_mask))


def read_image(path: pathlib.Path) -> np.ndarray:
    """An image in RGB, uint8 `[H, W, 3]`; grey ones too. Transparency and a rotation that the file only notes are left out.

    Raises:
      UserError: for a file that cannot be read, or whose pixels have more than 8 bits for each channel.
    """
    with opened_image(path) as image:
        if image.mode in _WIDE:
            raise UserError(f"image {path} has more than 8 bits for each channel ({image.mode}): store it with 8")
        return np.asarray(image.convert("RGB"))


def numbered_masks(labels: LabelNumbers) -> MaskReader:
    """Reads palette and grey images, whose pixels are numbers.

    The reader raises a UserError for a file that cannot be read or is in colour, and for a number without a class.
    """

    def read(path: pathlib.Path) -> np.ndarray:
        with opened_image(path) as image:
            if image.mode not in _NUMBERED:
                raise UserError(f"mask {path} is in colour ({image.mode}): give a table with the source option colours")
            numbers = np.asarray(image)
        return labels.decode(numbers, str(path))

    return read


def coloured_masks(table: ColourTable) -> MaskReader:
    """Reads images whose colours tell the class, palette images too.

    The reader raises a UserError for a file that cannot be read, and for a colour that the table lacks.
    """

    def read(path: pathlib.Path) -> np.ndarray:
        with opened_image(path) as image:
            return table.decode(np.asarray(image.convert("RGB")), str(path))

    return read


def paired(images: pathlib.Path, masks: pathlib.Path, read_mask: MaskReader, mask_suffix: str = "") -> list[Pair]:
    """The images of a folder with the masks that another has under the same names.

    Args:
      images: the folder of the images.
      masks: the folder of the masks.
      read_mask: reads one.
      mask_suffix: what follows in the name of a mask, before its ending: `_L` for `0001.png` and `0001_L.png`.

    Raises:
      UserError: for a folder that is absent or empty, for two files of one name, and for an image or a mask that is alone.
    """
    image_files = _by_stem(image_paths(images))
    mask_files = _by_stem(image_paths(masks, MASK_SUFFIXES))
    expected = {name: name + mask_suffix for name in image_files}
    alone = [image_files[name] for name, mask in expected.items() if mask not in mask_files]
    if alone:
        wanted = f"{expected[alone[0].stem]}.png"
        raise UserError(f"{len(alone)} of {len(image_files)} images have no mask in {masks}, the first is {alone[0]} ({wanted})")
    alone = [mask_files[name] for name in sorted(set(mask_files) - set(expected.values()))]
    if alone:
        raise UserError(f"{len(alone)} of {len(mask_files)} masks have no image in {images}, the first is {alone[0]}")
    return [file_pair(path, mask_files[expected[name]], read_mask) for name, path in image_files.items()]


def listed_names(path: pathlib.Path) -> list[str]:
    """The names that a list file holds, one in each line, without folders and endings.

    Raises:
      UserError: for a list that is absent or empty.
    """
    if not path.is_file():
        raise UserError(f"no list {path}")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    # A line may be `2007_000032`, or `/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png`.
    files = [pathlib.PurePosixPath(line.split()[0]) for line in lines if line.strip()]
    names = [file.stem if file.suffix.lower() in SUFFIXES else file.name for file in files]
    if not names:
        raise UserError(f"the list {path} is empty")
    return names


def check_listed(paths: Sequence[pathlib.Path], origin: str) -> None:
    """Sees that files that something names are there.

    Raises:
      UserError: names the first that is absent.
    """
    absent = [path for path in paths if not path.is_file()]
    if absent:
        raise UserError(f"{len(absent)} of {len(paths)} files that {origin} names are missing, the first is {absent[0]}")


def _by_stem(paths: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
    found: dict[str, pathlib.Path] = {}
    for path in paths:
        if path.stem in found:
            raise UserError(f"{found[path.stem]} and {path.name} have the same name: which of them is meant?")
        found[path.stem] = path
    return found


def _read_pair(image: pathlib.Path, mask: pathlib.Path, read_mask: MaskReader) -> tuple[np.ndarray, np.ndarray]:
    return read_image(image), read_mask(mask)
