"""Images sorted into folders, one for each identity."""

import pathlib
import re
from collections.abc import Collection, Mapping

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identities.files import GALLERY, NO_ROLE, QUERY, ImageFile, match_names, read_images
from jaxloss.tasks.data.identities.images import ImageSize
from jaxloss.tasks.data.identities.source import IdentitySource, make_identity_source
from jaxloss.tasks.data.image_files import image_paths
from jaxloss.tasks.data.locate import find_folder

TRAIN_FOLDER, TEST_FOLDER, QUERY_FOLDER, GALLERY_FOLDER = "train", "test", "query", "gallery"


def load_folder(
    rest: str, data_dir: str | None, download: bool, image_size: ImageSize, camera_pattern: str = ""
) -> IdentitySource:
    """Reads `FOLDER/<identity>/*`, or `FOLDER/train/<identity>/*` with a test set beside it.

    The test set is `test/<identity>/*`, whose roles follow by rule, or `query/<identity>/*` with `gallery/<identity>/*`. Where
    all identities are different whole numbers these are taken as they are (-1 is junk), else they are numbered by their names.

    Args:
      rest: the folder.
      data_dir: a folder to look in.
      download: not used.
      image_size: what the images are brought to.
      camera_pattern: regular expression whose first group is the number of the camera in a file name, for example `_c([0-9]+)`;
        empty where there are no cameras.

    Raises:
      UserError: for a folder that is missing or empty, for a file name without camera, and for a pattern that is none.
    """
    del download
    folder = find_folder(rest, data_dir)
    pattern = _compiled(camera_pattern)
    train_root, test_roots = _layout(folder)
    train, tests = _identities(train_root), {role: _identities(root) for role, root in test_roots.items()}
    numbers = _numbers({path.name for folders in (train, *tests.values()) for path in folders})
    train_files = _files(train, numbers, pattern, NO_ROLE)
    test_files = [file for role, folders in tests.items() for file in _files(folders, numbers, pattern, role)]
    return make_identity_source(
        folder.name,
        read_images(train_files, image_size, f"{folder} (train)"),
        read_images(test_files, image_size, f"{folder} (test)") if test_files else None,
        str(folder),
    )


def _layout(folder: pathlib.Path) -> tuple[pathlib.Path, Mapping[str, pathlib.Path]]:
    """Where the training identities are, and where those of the test set are by their role."""
    if not (folder / TRAIN_FOLDER).is_dir():
        return folder, {}
    if (folder / TEST_FOLDER).is_dir():
        return folder / TRAIN_FOLDER, {NO_ROLE: folder / TEST_FOLDER}
    if (folder / QUERY_FOLDER).is_dir() or (folder / GALLERY_FOLDER).is_dir():
        return folder / TRAIN_FOLDER, {QUERY: folder / QUERY_FOLDER, GALLERY: folder / GALLERY_FOLDER}
    return folder / TRAIN_FOLDER, {}


def _compiled(pattern: str) -> re.Pattern | None:
    if not pattern:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"the option 'camera_pattern' is no regular expression: {error}") from error
    if compiled.groups < 1:
        raise UserError(f"the option 'camera_pattern' needs a group for the camera, such as _c([0-9]+), not {pattern}")
    return compiled


def _identities(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folders of the identities, by name."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise UserError(f"no folders in {folder}: each identity has a folder of its own, with its images in it")
    return folders


def _numbers(names: Collection[str]) -> Mapping[str, int]:
    """The number of each identity by its name."""
    if all(re.fullmatch(r"-1|\d+", name) for name in names) and len({int(name) for name in names}) == len(names):
        return {name: int(name) for name in names}
    return {name: index for index, name in enumerate(sorted(names))}


def _files(folders: list[pathlib.Path], numbers: Mapping[str, int], pattern: re.Pattern | None, role: str) -> list[ImageFile]:
    files = []
    for folder in folders:
        paths = image_paths(folder)
        if pattern is None:
            cameras = [None] * len(paths)
        else:
            matches = match_names(paths, pattern, f"one that camera_pattern {pattern.pattern} finds a number in")
            cameras = [_camera(match, path) for match, path in zip(matches, paths, strict=True)]
        files += [ImageFile(path, numbers[folder.name], camera, role) for path, camera in zip(paths, cameras, strict=True)]
    return files


def _camera(match: re.Match, path: pathlib.Path) -> int:
    if not str(match[1]).isdecimal():
        raise UserError(f"camera_pattern {match.re.pattern} finds '{match[1]}' in {path}, which is no number")
    return int(match[1])
