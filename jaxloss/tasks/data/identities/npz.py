"""Images with identities in a NumPy archive, under whatever keys they have there."""

import numpy as np

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.tasks.data.identities.files import GALLERY, QUERY
from jaxloss.tasks.data.identities.images import ImageSize
from jaxloss.tasks.data.identities.source import IdentitySource, identified_images, make_identity_source
from jaxloss.tasks.data.locate import find_file
from jaxloss.tasks.data.npz import open_archive
from jaxloss.tasks.data.source import checked_images

TRAIN, TEST = "train", "test"


def load_npz(
    rest: str,
    data_dir: str | None,
    download: bool,
    image_size: ImageSize,
    image_key: str = "images",
    identity_key: str = "identities",
    camera_key: str = "cameras",
    split_key: str = "split",
) -> IdentitySource:
    """Reads one array of images, and one number for each of them of every other kind.

    Args:
      rest: the file; absolute, relative to the working folder, or to be found by `find_file`.
      data_dir: a folder to look in.
      download: not used.
      image_size: what the images are brought to.
      image_key: uint8 or floating `[M, H, W, C]` or `[M, H, W]`.
      identity_key: integers `[M]`, -1 (junk) or more.
      camera_key: integers `[M]`, 0 or more; empty where there are no cameras.
      split_key: `[M]`, 0 (train) and 1 (test), or the words `train`, `test`, `query` and `gallery`; the roles of `test` follow by
        rule. Empty: all images are there to be trained on.

    Raises:
      UserError: for a file or a key that is missing, and for arrays of another form.
    """
    del download
    path = find_file(rest, data_dir)
    keys = {"image_key": image_key, "identity_key": identity_key, "camera_key": camera_key, "split_key": split_key}
    with open_archive(path) as archive:
        there = archive.files
        arrays = {key: archive[key] for key in keys.values() if key in there}
    for option, key in keys.items():
        if key not in arrays and (key or option not in ("camera_key", "split_key")):
            remedy = ", or leave it empty" if option in ("camera_key", "split_key") else ""
            raise UserError(
                f"data file {path} has no '{key}'.{did_you_mean(key, there)} Name another of its keys with the source option "
                f"{option}{remedy}: {', '.join(there)}"
            )
    images = image_size.resize_arrays(checked_images(arrays[image_key], str(path)))
    splits = _split_words(arrays[split_key], len(images), f"{path} ({split_key})") if split_key else np.full(len(images), TRAIN)
    everything = identified_images(
        images,
        arrays[identity_key],
        arrays[camera_key] if camera_key else None,
        str(path),
        splits == QUERY,
        splits == GALLERY,
    )
    train, test = everything.take(splits == TRAIN), everything.take(splits != TRAIN)
    return make_identity_source(path.stem, train, test if len(test) else None, str(path))


def _split_words(splits: np.ndarray, count: int, origin: str) -> np.ndarray:
    """The division as words `[M]`."""
    if splits.shape != (count,):
        raise UserError(f"{origin}: {count} images, but a split of shape {list(splits.shape)}")
    words = np.array([{"0": TRAIN, "1": TEST}.get(word, word) for word in splits.astype(str)])
    wrong = sorted(set(words.tolist()) - {TRAIN, TEST, QUERY, GALLERY})
    if wrong:
        raise UserError(
            f"{origin}: the split holds '{wrong[0]}'; it may hold 0 (train) and 1 (test), or train, test, query, gallery"
        )
    if TEST in words and (QUERY in words or GALLERY in words):
        raise UserError(f"{origin}: the split holds test images beside those with roles (query, gallery)")
    return words
