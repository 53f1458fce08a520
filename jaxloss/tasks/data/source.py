"""What every source of labelled images delivers, checked once so that nothing behind it has to check again."""

import dataclasses

import numpy as np

from jaxloss.core.errors import UserError

_NUMBER_FROM_0 = "number the classes from 0"
# Channels of images in colour, without and with transparency.
_COLOURS = (3, 4)
# Scikit-learn's grey levels end at 16; whole numbers between these two are those of a byte.
_DARK, _WHITE = 16, 255


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images with one class each.

    Attributes:
      images: uint8 (0 to 255) or float32 `[M, H, W, C]`, channel-last.
      labels: int32 `[M]`, the class from 0.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "LabelledImages":
        """The examples at `rows`, in that order."""
        return LabelledImages(self.images[rows], self.labels[rows])


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set as it was published.

    Attributes:
      name: for reports.
      train: what may be trained on, or everything where the source has no division of its own.
      test: the source's own test set, or None.
      class_names: one name per class.
    """

    name: str
    train: LabelledImages
    test: LabelledImages | None
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """`C`."""
        return len(self.class_names)


def checked_images(images: np.ndarray, origin: str) -> np.ndarray:
    """Images as uint8 or float32 `[M, H, W, C]`; grey images may come without their channel axis.

    Args:
      images: uint8 or floating `[M, H, W, C]` or `[M, H, W]`.
      origin: where the images come from, for the error line.

    Raises:
      UserError: for other shapes or types, for channels that come first, for pixels that are not finite, and for levels of a
        byte as floating-point numbers.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and _has_channels_first(*images.shape[1:]):
        raise UserError(
            f"{origin}: images of shape {list(images.shape)} have their channels first, and channels last are wanted, "
            "[M, H, W, C]: images.transpose(0, 2, 3, 1)"
        )
    if images.ndim != 4 or not (images.dtype == np.uint8 or np.issubdtype(images.dtype, np.floating)):
        raise UserError(f"{origin}: images must be uint8 or float [M, H, W, C], not {images.dtype} {list(images.shape)}")
    # What is too large for float32 becomes infinite there.
    with np.errstate(over="ignore"):
        images = images if images.dtype == np.uint8 else images.astype(np.float32)
    broken = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3))) if images.dtype != np.uint8 else ()
    if len(broken):
        raise UserError(
            f"{origin}: {len(broken)} images hold NaN, infinity or more than float32 does, the first is number {broken[0]}"
        )
    if 0 in images.shape[1:]:
        raise UserError(f"{origin}: images of shape {list(images.shape)} have no pixels")
    if images.dtype != np.uint8 and images[..., :1].shape[1:] != (1, 1, 1) and _are_levels(images):
        raise UserError(
            f"{origin}: images are {images.dtype} of whole numbers from {images.min():g} to {images.max():g}, and floating-point "
            "pixels are taken as they are: give them as uint8, or divided by 255"
        )
    return images


def _has_channels_first(first: int, second: int, third: int) -> bool:
    """Whether no image has such a shape: two or more long axes, and the colours before them; signals may be one pixel high."""
    return min(second, third) > max(_COLOURS) and (first in _COLOURS or (first == 1 and second == third))


def _are_levels(images: np.ndarray) -> bool:
    """Whether floating-point pixels are grey levels of 0 to 255, which a network would see a hundred times too large."""
    low, high = images.min(initial=0), images.max(initial=0)
    return low >= 0 and _DARK < high <= _WHITE and not np.any(images % 1)


def labelled_images(images: np.ndarray, labels: np.ndarray, origin: str) -> LabelledImages:
    """Brings arrays into the form of `LabelledImages`; grey images may come without their channel axis.

    Args:
      images: uint8 or floating `[M, H, W, C]` or `[M, H, W]`.
      labels: integers `[M]`.
      origin: where the arrays come from, for the error line.

    Raises:
      UserError: for other shapes or types, for pixels that are not finite, for labels that number no class, or when there are not
        as many labels as images.
    """
    images, labels = checked_images(images, origin), np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{origin}: labels must be integers [M], not {labels.dtype} {list(labels.shape)}")
    if len(images) != len(labels):
        raise UserError(f"{origin}: {len(images)} images, but {len(labels)} labels")
    if len(labels) and (labels.min() < 0 or labels.max() > np.iinfo(np.int32).max):
        raise UserError(f"{origin}: labels run from {labels.min()} to {labels.max()}; {_NUMBER_FROM_0}")
    return LabelledImages(images, labels.astype(np.int32))


def make_source(
    name: str,
    train: LabelledImages,
    test: LabelledImages | None,
    class_names: tuple[str, ...] | None = None,
    origin: str | None = None,
) -> Source:
    """Joins the parts; without `class_names` the classes are numbered up to the largest label.

    Args:
      name: for reports.
      train: see `Source`.
      test: see `Source`.
      class_names: one name per class, or None.
      origin: where the arrays come from, for the error line; by default the name.

    Raises:
      UserError: for a label that has no class, for a single class, for labels that do not begin at 0 and for more classes than
        training images where they have no names, or for a test set whose images have another shape or type.
    """
    origin = origin or name
    parts = [train] if test is None else [train, test]
    labels = np.concatenate([part.labels for part in parts])
    if class_names is None:
        if len(labels) and labels.min() > 0:
            raise UserError(
                f"{origin}: labels run from {labels.min()} to {labels.max()}; {_NUMBER_FROM_0}, or name them in class_names"
            )
        if len(train) and labels.max() >= len(train):
            # Identifiers of another kind: a network would get an output for every number up to the largest.
            raise UserError(
                f"{origin}: the largest label is {labels.max()}, but there are only {len(train)} training images; "
                f"{_NUMBER_FROM_0}, or name them in class_names"
            )
        class_names = tuple(str(index) for index in range(int(labels.max(initial=-1)) + 1))
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(class_names)):
        raise UserError(f"{origin}: labels run from {labels.min()} to {labels.max()}, but there are {len(class_names)} classes")
    if len(train) and len(class_names) < 2:
        raise UserError(f"{origin}: all images are of a single class, and a classification needs two")
    if test is not None and (test.images.shape[1:], test.images.dtype) != (train.images.shape[1:], train.images.dtype):
        raise UserError(
            f"{origin}: train images are {train.images.dtype} {list(train.images.shape[1:])}, "
            f"test images {test.images.dtype} {list(test.images.shape[1:])}"
        )
    return Source(name, train, test, tuple(class_names))


def refuse_untrained_classes(source: Source, origin: str) -> None:
    """Refuses a test set with a class of which there is nothing to learn from.

    Raises:
      UserError: names the class.
    """
    if source.test is not None and len(strange := np.setdiff1d(source.test.labels, source.train.labels)):
        name = source.class_names[strange[0]]
        raise UserError(f"{origin}: the test set has images of the class {name}, and the training set has none")
