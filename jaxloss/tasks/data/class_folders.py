"""Images sorted into folders, one for each class."""

import pathlib

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.image_files import image_paths, opened_image
from jaxloss.tasks.data.locate import find_folder
from jaxloss.tasks.data.source import LabelledImages, Source, labelled_images, make_source

TRAIN_FOLDER, TEST_FOLDER = "train", "test"
# Modes of Pillow whose images have one channel and no colour.
_GREY = ("1", "L", "LA")


def load_class_folders(rest: str, data_dir: str | None = None, download: bool = False) -> Source:
    """Reads `FOLDER/<class>/*`, or `FOLDER/train/<class>/*` with a test set in `FOLDER/test/<class>/*`, by Pillow.

    Classes are numbered by the order of their names. Images are uint8 `[M, H, W, 3]`, or `[M, H, W, 1]` where all of them are
    grey; they have to be of one size.

    Args:
      rest: the folder.
      data_dir: a folder to look in.
      download: not used.

    Raises:
      UserError: for a folder that is missing or empty, for a file that cannot be read, for images of different sizes, and for a
        class that the test set alone has.
    """
    del download
    folder = find_folder(rest, data_dir)
    has_parts = (folder / TRAIN_FOLDER).is_dir()
    roots = [folder / name for name in (TRAIN_FOLDER, TEST_FOLDER) if (folder / name).is_dir()] if has_parts else [folder]
    paths = [_paths(root) for root in roots]
    classes = sorted(paths[0])
    if strange := [name for part in paths[1:] for name in part if name not in paths[0]]:
        raise UserError(f"{roots[1]} has a folder of the class {strange[0]!r}, and {roots[0]} has none")
    is_grey = all(_is_grey(file) for part in paths for files in part.values() for file in files)
    size = _size(next(iter(paths[0].values()))[0])
    parts = [_read(part, classes, size, "L" if is_grey else "RGB", str(root)) for root, part in zip(roots, paths, strict=True)]
    return make_source(folder.name, parts[0], parts[1] if len(parts) > 1 else None, tuple(classes), str(folder))


def _paths(root: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Class -> its files."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise UserError(f"no folders in {root}: there is to be a folder for each class, with its images in it")
    return {folder.name: image_paths(folder) for folder in folders}


def _is_grey(path: pathlib.Path) -> bool:
    with opened_image(path) as image:
        return image.mode in _GREY


def _size(path: pathlib.Path) -> tuple[int, int]:
    with opened_image(path) as image:
        return image.size


def _read(
    paths: dict[str, list[pathlib.Path]], classes: list[str], size: tuple[int, int], mode: str, origin: str
) -> LabelledImages:
    images, labels = [], []
    for label, name in enumerate(classes):
        for path in paths.get(name, ()):
            images.append(_pixels(path, size, mode))
            labels.append(label)
    return labelled_images(np.stack(images), np.array(labels), origin)


def _pixels(path: pathlib.Path, size: tuple[int, int], mode: str) -> np.ndarray:
    with opened_image(path) as image:
        if image.size != size:
            raise UserError(
                f"{path} is {image.width} x {image.height} pixels, and the first image {size[0]} x {size[1]}: "
                "a classification needs images of one size"
            )
        # A palette may have transparent colours, which RGB alone takes with a warning.
        plain = image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
        return np.asarray(plain.convert(mode))
