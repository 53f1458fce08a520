"""Images in a NumPy archive: the simplest form in which to bring data of one's own."""

import contextlib
import pathlib
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.locate import find_file
from jaxloss.tasks.data.source import Source, labelled_images, make_source


@contextlib.contextmanager
def open_archive(path: pathlib.Path) -> Iterator[np.lib.npyio.NpzFile]:
    """An archive to read arrays from.

    Raises:
      UserError: for a file that is no archive, that is damaged, or for an array of Python objects that is read.
    """
    if not zipfile.is_zipfile(path):
        raise UserError(f"data file {path} is not a NumPy archive (.npz), or it is damaged")
    try:
        with np.load(path, allow_pickle=False) as archive:
            yield archive
    except UserError:
        raise  # it is a ValueError too, and says what is wrong
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"data file {path} cannot be read: {str(error).splitlines()[0]}") from error


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
    names = tuple(map(str, arrays["class_names"])) if "class_names" in arrays else None
    return make_source(path.stem, train, test, names, str(path))
