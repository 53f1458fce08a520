"""Images and masks in a NumPy archive, under whatever keys they have there."""

import functools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.tasks.data.locate import find_file
from jaxloss.tasks.data.masks.assemble import make_mask_source
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.masks.labels import LabelNumbers, parse_class_names, parse_numbers
from jaxloss.tasks.data.masks.pairs import Pair
from jaxloss.tasks.data.masks.source import MaskSource, mask_class_names
from jaxloss.tasks.data.npz import open_archive
from jaxloss.tasks.data.published_splits import PUBLISHED_SPLITS, TEST, TRAIN

_WORDS = {"0": TRAIN, "1": TEST}


def load_npz(
    rest: str,
    data_dir: str | None,
    download: bool,
    frame: Frame,
    streamed: bool,
    image_key: str = "images",
    mask_key: str = "labels",
    name_key: str = "names",
    split_key: str = "",
    class_key: str = "class_names",
    classes: str = "",
    labels: str = "",
    void: str = "255",
) -> MaskSource:
    """Reads `train_images` with `train_labels`, and the same of `val` and `test` where they are there.

    Args:
      rest: the file; absolute, relative to the working folder, or to be found by `find_file`.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images and masks are brought to.
      streamed: not used: the archive is read into memory. Training images are streamed from there.
      image_key: uint8 `[M, H, W, 3]`, or grey `[M, H, W]` or `[M, H, W, 1]`; each published split has a key of its own, with its
        name in front (`train_images`), or all have one, with `split_key`.
      mask_key: integers `[M, H, W]`, likewise.
      name_key: texts `[M]`, likewise; images are numbered where the key is not there.
      split_key: `[M]`, 0 (train) and 1 (test), or the words `train`, `val` and `test`, for keys without a split in front. Empty:
        all images are there to be trained on.
      class_key: texts `[C]`, the names of the classes.
      classes: in place of `class_key`, see `labels.parse_class_names`.
      labels: numbers of the classes in the masks, such as `1-150`; empty for 0 and on.
      void: numbers without a class.

    Raises:
      UserError: for a file or a key that is missing, and for arrays of another form.
    """
    del download
    path = find_file(rest, data_dir)
    with open_archive(path) as archive:
        there = archive.files
        parts = {
            split: {key: archive[f"{split}_{key}"] for key in (image_key, mask_key, name_key) if f"{split}_{key}" in there}
            for split in PUBLISHED_SPLITS
        }
        keys = [key for key in (image_key, mask_key, name_key, split_key) if key in there]
        whole = {} if any(parts.values()) else {key: archive[key] for key in keys}
        class_names = archive[class_key] if not classes and class_key in there else None
    names = parse_class_names(classes, None) if classes else _class_names(class_names, class_key, path, there)
    numbers = LabelNumbers.create(len(names), parse_numbers(labels, "labels") if labels else None, parse_numbers(void, "void"))

    def checked(split: str, arrays: Mapping[str, np.ndarray]) -> list[Pair]:
        """The pairs of arrays under keys that begin with `split`."""
        for option, key in (("image_key", image_key), ("mask_key", mask_key)):
            if key not in arrays:
                raise UserError(
                    f"data file {path} has no '{split}{key}'.{did_you_mean(split + key, there)} Name another of its keys with "
                    f"the source option {option}: {', '.join(there)}"
                )
        return _pairs(path, split, arrays[image_key], arrays[mask_key], arrays.get(name_key), numbers)

    if whole or not any(parts.values()):
        pairs = checked("", whole)
        if split_key and split_key not in whole:
            raise UserError(f"data file {path} has no '{split_key}' (source option split_key): {', '.join(there)}")
        splits = _divided(pairs, whole[split_key], f"{path} ({split_key})") if split_key else {TRAIN: pairs}
    else:
        if split_key:
            raise UserError(f"the source option split_key is for one key of all images, and {path} has keys for each split")
        splits = {split: checked(f"{split}_", arrays) for split, arrays in parts.items() if arrays}
    # The arrays are in memory already: `make_mask_source` brings them to their size.
    del streamed
    return make_mask_source(path.stem, splits, names, frame, False, str(path))


def _class_names(found: np.ndarray | None, key: str, path: pathlib.Path, there: Sequence[str]) -> tuple[str, ...]:
    if found is None:
        raise UserError(
            f"data file {path} has no '{key}'.{did_you_mean(key, there)} Name another of its keys with the source option "
            f"class_key, or give names or a number with classes: {', '.join(there)}"
        )
    return mask_class_names([str(name) for name in found.ravel()], f"{path} ({key})")


def _pairs(
    path: pathlib.Path, split: str, images: np.ndarray, masks: np.ndarray, names: np.ndarray | None, labels: LabelNumbers
) -> list[Pair]:
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
        raise UserError(
            f"{path} ({split}images): images must be uint8 [M, H, W, 3], or grey [M, H, W], "
            f"not {images.dtype} {list(images.shape)}"
        )
    if len(masks) != len(images):
        raise UserError(f"{path}: {len(images)} images, but {len(masks)} masks")
    if names is not None and names.shape != (len(images),):
        raise UserError(f"{path}: {len(images)} images, but names of shape {list(names.shape)}")

    def read(row: int, origin: str) -> tuple[np.ndarray, np.ndarray]:
        return np.broadcast_to(images[row], (*images.shape[1:3], 3)), labels.decode(masks[row], origin)

    pairs = []
    for row in range(len(images)):
        name = str(row if names is None else names[row])
        origin = f"{name} of {path}{f' ({split[:-1]})' if split else ''}"
        pairs.append(Pair(name, origin, origin, functools.partial(read, row, origin)))
    return pairs


def _divided(pairs: Sequence[Pair], splits: np.ndarray, origin: str) -> dict[str, list[Pair]]:
    if splits.shape != (len(pairs),):
        raise UserError(f"{origin}: {len(pairs)} images, but a split of shape {list(splits.shape)}")
    words = [_WORDS.get(word, word) for word in splits.astype(str)]
    wrong = sorted(set(words) - set(PUBLISHED_SPLITS))
    if wrong:
        raise UserError(f"{origin}: the split holds '{wrong[0]}'; it may hold 0 (train) and 1 (test), or train, val, test")
    return {
        split: [pair for pair, word in zip(pairs, words, strict=True) if word == split]
        for split in PUBLISHED_SPLITS
        if split in words
    }
