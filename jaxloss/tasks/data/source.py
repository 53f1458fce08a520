"""What every source of labelled images delivers, checked once so that nothing behind it has to check again."""

import dataclasses

import numpy as np

from jaxloss.core.errors import UserError

_NUMBER_FROM_0 = "number the classes from 0"


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
      UserError: for other shapes or types, and for pixels that are not finite.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[..., None]
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
    return images


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
      UserError: for a label that has no class, for more classes than training images where they have no names, or for a test
        set whose images have another shape or type.
    """
    origin = origin or name
    parts = [train] if test is None else [train, test]
    labels = np.concatenate([part.labels for part in parts])
    if class_names is None:
        if len(train) and labels.max() >= len(train):
            # Identifiers of another kind: a network would get an output for every number up to the largest.
            raise UserError(
                f"{origin}: the largest label is {labels.max()}, but there are only {len(train)} training images; "
                f"{_NUMBER_FROM_0}, or name them in class_names"
            )
        class_names = tuple(str(index) for index in range(int(labels.max(initial=-1)) + 1))
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(class_names)):
        raise UserError(f"{origin}: labels run from {labels.min()} to {labels.max()}, but there are {len(class_names)} classes")
    if test is not None and (test.images.shape[1:], test.images.dtype) != (train.images.shape[1:], train.images.dtype):
        raise UserError(
            f"{origin}: train images are {train.images.dtype} {list(train.images.shape[1:])}, "
            f"test images {test.images.dtype} {list(test.images.shape[1:])}"
        )
    return Source(name, train, test, tuple(class_names))
