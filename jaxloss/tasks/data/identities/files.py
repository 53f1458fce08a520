"""Lists of image files with the identities and cameras that their names tell."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identities.images import ImageSize
from jaxloss.tasks.data.identities.source import IdentifiedImages, identified_images

QUERY, GALLERY, NO_ROLE = "query", "gallery", "none"


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """An image that is not read yet.

    Attributes:
      path: of the file.
      identity: -1 (junk) or more.
      camera: 0 or more, or None where the data have no cameras.
      role: `query`, `gallery` or `none`.
    """

    path: pathlib.Path
    identity: int
    camera: int | None
    role: str = NO_ROLE


def match_names(paths: Sequence[pathlib.Path], pattern: re.Pattern, example: str) -> list[re.Match]:
    """The match of `pattern` in each file name.

    Args:
      paths: of the files.
      pattern: searched in the name, without its folder.
      example: a name that would be right.

    Raises:
      UserError: names the first file whose name does not match, and says how many there are.
    """
    matches = [pattern.search(path.name) for path in paths]
    wrong = [path for path, match in zip(paths, matches, strict=True) if match is None]
    if wrong:
        raise UserError(
            f"{len(wrong)} of {len(paths)} image files in {wrong[0].parent} have names of another form, the first is "
            f"{wrong[0].name}; expected is a name such as {example}"
        )
    return matches


def read_images(files: Sequence[ImageFile], image_size: ImageSize, origin: str) -> IdentifiedImages:
    """Reads the images of a list; they all have cameras, or none has.

    Raises:
      UserError: for an empty list, and for a file that cannot be read.
    """
    if not files:
        raise UserError(f"{origin}: there are no images")
    cameras = [file.camera for file in files]
    return identified_images(
        image_size.read_files([file.path for file in files]),
        np.array([file.identity for file in files], np.int64),
        None if cameras[0] is None else np.array(cameras, np.int64),
        origin,
        np.array([file.role == QUERY for file in files]),
        np.array([file.role == GALLERY for file in files]),
    )
