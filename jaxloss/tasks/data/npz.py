"""Images in a NumPy archive: the simplest form in which to bring data of one's own."""

import contextlib
import math
import pathlib
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.host_memory import free_host_memory
from jaxloss.tasks.data.class_names import checked_class_names
from jaxloss.tasks.data.locate import find_file
from jaxloss.tasks.data.source import Source, labelled_images, make_source, refuse_untrained_classes

_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextlib.contextmanager
def open_archive(path: pathlib.Path) -> Iterator[np.lib.npyio.NpzFile]:
    """An archive to read arrays from.

    Raises:
      UserError: for a file that is no archive, that is damaged, that unpacks to more than the free memory or says so, and for
        an array of Python objects that is read.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(f"data file {path} is not a NumPy archive (.npz), or it is damaged")
    try:
        with np.load(path, allow_pickle=False) as archive:
            _refuse_too_large(archive, path)
            yield archive
    except UserError:
        raise  # it is a ValueError too, and says what is wrong
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"data file {path} cannot be read: {str(error).splitlines()[0]}") from error


def _refuse_too_large(archive: np.lib.npyio.NpzFile, path: pathlib.Path) -> None:
    """Before memory is taken: arrays of another size than their headers say, and more than the machine has free."""
    members = archive.zip.infolist()
    total, free = sum(member.file_size for member in members), free_host_memory()
    if total > free:
        raise UserError(f"data file {path} unpacks to {total / 2**30:.1f} GiB, and {free / 2**30:.1f} are free")
    for member in members:
        with archive.zip.open(member) as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
                continue  # no array; whoever reads it says so
            version = tuple(file.read(2))
            if version not in _READ_HEADER:
                continue
            shape, _, dtype = _READ_HEADER[version](file)
            claimed, there = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
            if not dtype.hasobject and claimed != there:
                raise UserError(f"data file {path}: {member.filename} says that it holds {claimed} bytes, and it has {there}")


def load_npz(rest: str, data_dir: str | None = None, download: bool = False) -> Source:
    """Reads `train_images`, `train_labels` and, where there, `test_images`, `test_labels` and `class_names`.

    Args:
      rest: the file; absolute, relative to the working folder, or to be found by `find_file`.
      data_dir: a folder to look in.
      download: not used.
    """
    del download
    path = find_file(rest, data_dir)
    with open_archive(path) as archive:
        arrays = {key: archive[key] for key in archive.files if key.startswith(("train_", "test_", "class_names"))}
    has_test = "test_images" in arrays or "test_labels" in arrays
    expected = ["train_images", "train_labels"] + ["test_images", "test_labels"] * has_test
    missing = [key for key in expected if key not in arrays]
    if missing:
        raise UserError(
            f"data file {path} lacks {', '.join(missing)}. Expected keys: train_images, train_labels, "
            "and if it has a test set test_images, test_labels; class_names is optional"
        )
    train = labelled_images(arrays["train_images"], arrays["train_labels"], f"{path} (train)")
    test = labelled_images(arrays["test_images"], arrays["test_labels"], f"{path} (test)") if has_test else None
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise UserError(f"data file {path}: {key} is no array")
    names = checked_class_names(arrays["class_names"].ravel(), f"{path} (class_names)") if "class_names" in arrays else None
    if has_test and not len(arrays["test_labels"]):
        raise UserError(f"data file {path} has a test set without images; leave test_images and test_labels out")
    source = make_source(path.stem, train, test, names, str(path))
    refuse_untrained_classes(source, str(path))
    return source
