"""What every source of images with identities delivers, checked once so that nothing behind it has to check again."""

import dataclasses

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.source import checked_images

JUNK = -1


@dataclasses.dataclass(frozen=True)
class IdentifiedImages:
    """Images of identities (persons, characters, products), seen by cameras.

    Market-1501's convention: identity -1 is junk, which an evaluation leaves out; identity 0 is a distractor, which stays in
    the gallery and matches no query. Elsewhere 0 is an identity like any other; no query shows a distractor, so that nothing has
    to be told about it.

    Attributes:
      images: uint8 (0 to 255) or float32 `[M, H, W, C]`, channel-last.
      identities: int32 `[M]`, -1 (junk) or more.
      cameras: int32 `[M]`, 0 or more; None where the data have no cameras.
      is_query: bool `[M]`; all False in training images, and where the roles are not given out yet.
      is_gallery: bool `[M]`, likewise. An image may have both roles.
    """

    images: np.ndarray
    identities: np.ndarray
    cameras: np.ndarray | None
    is_query: np.ndarray
    is_gallery: np.ndarray

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def num_identities(self) -> int:
        """How many different identities there are, junk left out."""
        return len(np.unique(self.identities[self.identities != JUNK]))

    @property
    def has_roles(self) -> bool:
        """Whether the images are divided into queries and gallery."""
        return bool(self.is_query.any() or self.is_gallery.any())

    @property
    def viewpoints(self) -> np.ndarray:
        """int32 `[M]`: the camera, or, where there are none, a number of its own for every image.

        So one rule serves both: a gallery image of the same identity and the same viewpoint is no match that counts. Without
        cameras this is the query itself and nothing else.
        """
        return np.arange(len(self), dtype=np.int32) if self.cameras is None else self.cameras

    def take(self, rows: np.ndarray) -> "IdentifiedImages":
        """The images at `rows` (numbers or bool `[M]`), in that order."""
        parts = (getattr(self, field.name) for field in dataclasses.fields(self))
        return IdentifiedImages(*(None if part is None else part[rows] for part in parts))


@dataclasses.dataclass(frozen=True)
class IdentitySource:
    """A data set as it was published. Identities of `train` and of `test` are numbered independently of each other.

    Attributes:
      name: for reports.
      train: what may be trained on, or everything where the source has no division of its own; without junk.
      test: the source's own test set, or None. Its images have roles where they were published.
    """

    name: str
    train: IdentifiedImages
    test: IdentifiedImages | None


def identified_images(
    images: np.ndarray,
    identities: np.ndarray,
    cameras: np.ndarray | None,
    origin: str,
    is_query: np.ndarray | None = None,
    is_gallery: np.ndarray | None = None,
) -> IdentifiedImages:
    """Brings arrays into the form of `IdentifiedImages`; grey images may come without their channel axis.

    Args:
      images: uint8 or floating `[M, H, W, C]` or `[M, H, W]`.
      identities: integers `[M]`, -1 or more.
      cameras: integers `[M]`, 0 or more, or None.
      origin: where the arrays come from, for the error line.
      is_query: bool `[M]`, or None for no queries.
      is_gallery: bool `[M]`, or None for no gallery.

    Raises:
      UserError: for other shapes, types or numbers, for pixels that are not finite, and for a junk query.
    """
    images = checked_images(images, origin)
    identities = _numbers(identities, "identities", JUNK, len(images), origin)
    cameras = None if cameras is None else _numbers(cameras, "cameras", 0, len(images), origin)
    roles = [np.zeros(len(images), bool) if role is None else np.asarray(role, bool) for role in (is_query, is_gallery)]
    junk_queries = np.flatnonzero(roles[0] & (identities == JUNK))
    if len(junk_queries):
        raise UserError(
            f"{origin}: {len(junk_queries)} queries are junk (identity {JUNK}), the first is number {junk_queries[0]}"
        )
    return IdentifiedImages(images, identities, cameras, *roles)


def _numbers(array: np.ndarray, kind: str, smallest: int, count: int, origin: str) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"{origin}: {kind} must be integers [M], not {array.dtype} {list(array.shape)}")
    if len(array) != count:
        raise UserError(f"{origin}: {count} images, but {len(array)} {kind}")
    wrong = np.flatnonzero((array < smallest) | (array > np.iinfo(np.int32).max))
    if len(wrong):
        raise UserError(
            f"{origin}: {kind} are numbers from {smallest}, but {len(wrong)} images have another, "
            f"the first is number {wrong[0]} with {array[wrong[0]]}"
        )
    return array.astype(np.int32)


def make_identity_source(name: str, train: IdentifiedImages, test: IdentifiedImages | None, origin: str) -> IdentitySource:
    """Joins the parts.

    Args:
      name: for reports.
      train: see `IdentitySource`.
      test: see `IdentitySource`.
      origin: where the images come from, for the error line.

    Raises:
      UserError: for a part without images, junk or a single identity in the training set, queries without a gallery (or the
        reverse), and for a test set whose images have another shape or type, or which alone has cameras.
    """
    for part, images in (("training", train), ("test", test)):
        if images is not None and not len(images):
            raise UserError(f"{origin}: there are no {part} images")
    junk = np.flatnonzero(train.identities == JUNK)
    if len(junk):
        raise UserError(f"{origin}: {len(junk)} training images are junk (identity {JUNK}), the first is number {junk[0]}")
    if train.num_identities < 2:
        raise UserError(f"{origin}: all training images show identity {train.identities[0]}; two identities are the least")
    if test is not None:
        if test.images.shape[1:] != train.images.shape[1:] or test.images.dtype != train.images.dtype:
            raise UserError(
                f"{origin}: train images are {train.images.dtype} {list(train.images.shape[1:])}, "
                f"test images {test.images.dtype} {list(test.images.shape[1:])}"
            )
        if (test.cameras is None) != (train.cameras is None):
            raise UserError(f"{origin}: only one of training and test images have cameras")
        if test.has_roles and not (test.is_query.any() and test.is_gallery.any()):
            raise UserError(f"{origin}: the test set has no {'gallery' if test.is_query.any() else 'queries'}")
    return IdentitySource(name, train, test)


def with_test_of(images: IdentitySource, other: IdentitySource) -> IdentitySource:
    """The test set of another source, for a network that was trained on this one: cross-domain evaluation.

    Raises:
      UserError: where the images of the two have other shapes.
    """
    own, foreign = (list(part.test.images.shape[1:]) for part in (images, other))
    if own != foreign:
        raise UserError(
            f"images of '{images.name}' are {own}, those of '{other.name}' are {foreign}: set task.retrieval.image_size"
        )
    return dataclasses.replace(images, name=f"{images.name}, tested on {other.name}", test=other.test)
