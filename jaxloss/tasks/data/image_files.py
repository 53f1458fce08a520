"""Image files: which ones a folder holds, and reading one, whatever is wrong with it, by Pillow."""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

from PIL import Image

from jaxloss.core.errors import UserError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def image_paths(folder: pathlib.Path, suffixes: Sequence[str] = SUFFIXES) -> list[pathlib.Path]:
    """The image files in a folder, by name; other files, `Thumbs.db` and hidden ones, are passed over.

    Raises:
      UserError: for a folder that does not exist or holds no image.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
    if not paths:
        raise UserError(f"no images in {folder} (file names that end in {', '.join(suffixes)})")
    return paths


@contextlib.contextmanager
def opened_image(path: pathlib.Path) -> Iterator[Image.Image]:
    """An image file, to be decoded inside the context.

    Raises:
      UserError: names a file that is absent, broken or no image.
    """
    try:
        with Image.open(path) as image:
            yield image
    except UserError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"image file {path} cannot be read: {(str(error).splitlines() or ['broken'])[0]}") from error


def image_size(path: pathlib.Path) -> tuple[int, int]:
    """(height, width) of an image file, whose pixels are not decoded.

    Raises:
      UserError: names a file that is absent, broken or no image.
    """
    with opened_image(path) as image:
        return image.height, image.width
