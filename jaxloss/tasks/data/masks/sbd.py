"""The masks of the Semantic Boundaries Dataset: the original `.mat` files, or PNG files that were made of them."""

import dataclasses
import pathlib
import zlib

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.image_files import image_paths
from jaxloss.tasks.data.masks.files import MASK_SUFFIXES, MaskReader, check_listed, listed_names
from jaxloss.tasks.data.masks.labels import LabelNumbers

NUM_CLASSES = 21
_LISTS_OF_CONVERTED = ("train_aug.txt", "trainaug.txt")


@dataclasses.dataclass(frozen=True)
class SbdFile:
    """An image with its mask.

    Attributes:
      image: its file.
      mask: its file.
      read_mask: reads it; None for a PNG of numbers.
    """

    image: pathlib.Path
    mask: pathlib.Path
    read_mask: MaskReader | None = None


def find_sbd(folder: pathlib.Path, lists: pathlib.Path, images: pathlib.Path) -> list[SbdFile]:
    """The images with a mask of SBD, 11,355 in all, in the order of the lists.

    Args:
      folder: `benchmark_RELEASE`, its `dataset`, or a folder of converted masks; of these a list `train_aug.txt` or
        `trainaug.txt` in `lists` says which are meant, and without one all are.
      lists: the lists of PASCAL VOC.
      images: the images of PASCAL VOC, where those of SBD are too; one that is not there is looked for in `img` of SBD.

    Raises:
      UserError: for a folder without masks, and for a list that is absent or names an absent file.
    """
    for dataset in (folder, folder / "dataset"):
        if (dataset / "cls").is_dir():
            return _original(dataset, images)
    listed = next((lists / name for name in _LISTS_OF_CONVERTED if (lists / name).is_file()), None)
    if listed is None:
        masks, origin = image_paths(folder, MASK_SUFFIXES), str(folder)
    else:
        masks, origin = [folder / f"{name}.png" for name in listed_names(listed)], str(listed)
    found = [SbdFile(images / f"{mask.stem}.jpg", mask) for mask in masks]
    check_listed([path for one in found for path in (one.image, one.mask)], origin)
    return found


def read_mat(path: pathlib.Path) -> np.ndarray:
    """A mask of the original data, uint8 `[H, W]`, the classes of PASCAL VOC with 0 as background.

    Raises:
      UserError: for a file that cannot be read, and for a number without a class.
    """
    # Slow to import, and only this source needs it.
    import scipy.io

    broken = (OSError, ValueError, KeyError, IndexError, TypeError, NotImplementedError, zlib.error, scipy.io.matlab.MatReadError)
    try:
        numbers = scipy.io.loadmat(path, variable_names="GTcls")["GTcls"]["Segmentation"][0, 0]
    except broken as error:
        raise UserError(f"mask {path} cannot be read as one of SBD: {(str(error).splitlines() or ['broken'])[0]}") from error
    return LabelNumbers.create(NUM_CLASSES).decode(np.asarray(numbers), str(path))


def _original(dataset: pathlib.Path, images: pathlib.Path) -> list[SbdFile]:
    found = []
    for listed in (dataset / "train.txt", dataset / "val.txt"):
        part = []
        for name in listed_names(listed):
            image = images / f"{name}.jpg"
            image = image if image.is_file() else dataset / "img" / image.name
            part.append(SbdFile(image, dataset / "cls" / f"{name}.mat", read_mat))
        check_listed([path for one in part for path in (one.image, one.mask)], str(listed))
        found += part
    return found
