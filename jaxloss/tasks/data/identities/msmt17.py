"""The file layout of MSMT17: lists of paths with identities, cameras in the file names."""

import pathlib
import re

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identities.files import GALLERY, NO_ROLE, QUERY, ImageFile, match_names, read_images
from jaxloss.tasks.data.identities.images import ImageSize
from jaxloss.tasks.data.identities.source import IdentitySource, make_identity_source
from jaxloss.tasks.data.locate import find_folder

# The list, the folder that its paths start in, and the role of its images.
_TRAIN_LISTS = (("list_train.txt", "train", NO_ROLE), ("list_val.txt", "train", NO_ROLE))
_TEST_LISTS = (("list_query.txt", "test", QUERY), ("list_gallery.txt", "test", GALLERY))
_LISTS = _TRAIN_LISTS + _TEST_LISTS
_NAME = re.compile(r"^\d+_\d+_(\d+)_")
_EXAMPLE = "0000_000_01_0303morning_0008_0.jpg: camera 1"


def load_msmt17(
    rest: str, data_dir: str | None, download: bool, image_size: ImageSize, validation: str = "train"
) -> IdentitySource:
    """Reads the images that `list_train.txt`, `list_val.txt`, `list_query.txt` and `list_gallery.txt` name.

    Training and test identities are both numbered from 0 and are different persons all the same.

    Args:
      rest: the folder `MSMT17_V1`, which holds the lists and the folders `train` and `test`.
      data_dir: a folder to look in.
      download: not used.
      image_size: what the images are brought to.
      validation: what becomes of the 2,373 images of `list_val.txt`, whose persons are those of `list_train.txt`: `train` (they
        are trained on, 32,621 images in all, as the data set's paper counts) or `unused` (30,248, as most public code does).

    Raises:
      UserError: for a list, a folder or an image that is missing, and for lines and file names of another form.

    References:
      L. Wei et al.: Person Transfer GAN to Bridge Domain Gap for Person Re-Identification, CVPR 2018.
    """
    del download
    if validation not in ("train", "unused"):
        raise UserError(f"the option 'validation' of msmt17 must be 'train' or 'unused', not '{validation}'")
    folder = find_folder(rest, data_dir)
    missing = [name for name in (*(name for name, _, _ in _LISTS), "train", "test") if not (folder / name).exists()]
    if missing:
        raise UserError(f"folder {folder} is not in MSMT17's layout (version 1): it lacks {', '.join(missing)}")
    train = [file for entry in _TRAIN_LISTS[: 2 if validation == "train" else 1] for file in _files(folder, *entry)]
    test = [file for entry in _TEST_LISTS for file in _files(folder, *entry)]
    return make_identity_source(
        folder.name,
        read_images(train, image_size, f"{folder} (train)"),
        read_images(test, image_size, f"{folder} (test)"),
        str(folder),
    )


def _files(folder: pathlib.Path, list_name: str, images: str, role: str) -> list[ImageFile]:
    """The images that one list names."""
    lines = (folder / list_name).read_text(encoding="utf-8", errors="replace").splitlines()
    entries = [(number, line.rsplit(maxsplit=1)) for number, line in enumerate(lines, 1) if line.strip()]
    wrong = [number for number, entry in entries if len(entry) != 2 or not entry[1].isdecimal()]
    if wrong:
        raise UserError(
            f"{len(wrong)} lines of {folder / list_name} are no path with an identity, the first is line {wrong[0]}; "
            "expected is a line such as 0000/0000_000_01_0303morning_0008_0.jpg 0"
        )
    paths = [folder / images / path for _, (path, _) in entries]
    absent = [path for path in paths if not path.is_file()]
    if absent:
        raise UserError(f"{len(absent)} of {len(paths)} images in {folder / list_name} are missing, the first is {absent[0]}")
    cameras = match_names(paths, _NAME, _EXAMPLE)
    return [
        ImageFile(path, int(identity), int(camera[1]), role)
        for path, (_, (_, identity)), camera in zip(paths, entries, cameras, strict=True)
    ]
