"""What every source of images with keypoints delivers: one subject an image, the splits that it has, and names of keypoints."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxloss.core.errors import UserError

IMAGE, KEYPOINTS, VISIBLE = "image", "keypoints", "visible"
# How an example is found again in the file that it came from.
AREA, SCALE, ORIGIN, OWNER = "area", "scale", "origin", "owner"
# Coordinates in files are rounded.
TOLERANCE = 1.0


@dataclasses.dataclass(frozen=True)
class Pose:
    """The keypoints of one subject. A coordinate is a number of pixels from the middle of the first pixel.

    Attributes:
      keypoints: float32 `[K, 2]`, x and y; zeros where there is none.
      visible: bool `[K]`, False for keypoints that count nowhere.
      area: of the subject in squared pixels, NaN where nobody says it.
    """

    keypoints: np.ndarray
    visible: np.ndarray
    area: float = float("nan")

    @classmethod
    def create(
        cls,
        keypoints: np.ndarray,
        visible: np.ndarray,
        size: tuple[int, int],
        record: str,
        names: Sequence[str],
        area: float = float("nan"),
    ) -> "Pose":
        """Checks visible keypoints against the (height, width) of their image.

        Args:
          keypoints: numbers `[K, 2]`.
          visible: bool `[K]`.
          size: of the image.
          record: where they come from: file and record.
          names: `[K]`.
          area: see the attributes.

        Raises:
          UserError: names file, record and keypoint of one that is not made of numbers, or outside of the image.
        """
        height, width = size
        array, visible = np.asarray(keypoints, np.float32), np.asarray(visible, bool)
        for name, (x, y), is_visible in zip(names, array, visible, strict=True):
            if not is_visible:
                continue
            if not np.isfinite([x, y]).all():
                raise UserError(f"{record}: the visible keypoint {name} ({x:g}, {y:g}) is not made of numbers")
            low, right, bottom = -0.5 - TOLERANCE, width - 0.5 + TOLERANCE, height - 0.5 + TOLERANCE
            if not (low <= x <= right and low <= y <= bottom):
                raise UserError(
                    f"{record}: the keypoint {name} ({x:g}, {y:g}) is marked as visible and lies outside of its image, which is "
                    f"{height} x {width}"
                )
        return cls(np.where(visible[:, None], array, 0).astype(np.float32), visible, float(area))


@dataclasses.dataclass(frozen=True)
class Example:
    """A subject in an image of the size that networks see.

    `keypoint * scale + origin` are coordinates in the image of the file.

    Attributes:
      image: uint8 `[H, W, 3]`.
      pose: in the pixels of this image, but for the area, which is that in the file.
      scale: float32 `[2]`, pixels of the file for one of this image, along x and y.
      origin: float32 `[2]`, where its first pixel lies there.
    """

    image: np.ndarray
    pose: Pose
    scale: np.ndarray
    origin: np.ndarray


@dataclasses.dataclass(frozen=True)
class KeypointImages:
    """Images of one size with the keypoints of a subject each, in memory.

    Attributes:
      examples: arrays `[N, ...]`: `image` uint8 `[N, H, W, 3]`, `keypoints` float32 `[N, K, 2]`, `visible` bool `[N, K]`, `area`
        float32 `[N]`, `scale` and `origin` float32 `[N, 2]`, see `Example`, and `owner` int32 `[N]`, the number of the image in
        the file, which may show several subjects.
      names: one for each, for reports.
    """

    examples: dict[str, np.ndarray]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def create(cls, examples: Sequence[Example], owners: Sequence[int], names: Sequence[str]) -> "KeypointImages":
        """Stacks examples of one size."""
        arrays = {
            IMAGE: np.stack([one.image for one in examples]),
            KEYPOINTS: np.stack([one.pose.keypoints for one in examples]),
            VISIBLE: np.stack([one.pose.visible for one in examples]),
            AREA: np.array([one.pose.area for one in examples], np.float32),
            SCALE: np.stack([one.scale for one in examples]).astype(np.float32),
            ORIGIN: np.stack([one.origin for one in examples]).astype(np.float32),
            OWNER: np.array(owners, np.int32),
        }
        return cls(arrays, tuple(names))

    def take(self, rows: np.ndarray) -> "KeypointImages":
        """The examples at `rows`, int `[n]`, in that order."""
        return KeypointImages(
            {name: array[rows] for name, array in self.examples.items()}, tuple(self.names[row] for row in rows)
        )

    def in_memory(self) -> "KeypointImages":
        """Itself: nothing is left in files."""
        return self


@dataclasses.dataclass(frozen=True)
class KeypointSource:
    """A data set as it was published.

    Attributes:
      name: for reports.
      train: what may be trained on, or everything where the source has no division of its own.
      test: the source's own test set, or None.
      keypoint_names: `[K]`.
    """

    name: str
    train: KeypointImages
    test: KeypointImages | None
    keypoint_names: tuple[str, ...]

    @property
    def num_keypoints(self) -> int:
        """`K`."""
        return len(self.keypoint_names)


def checked_keypoint_names(names: Sequence[str], count: int, origin: str) -> tuple[str, ...]:
    """The names of keypoints, without spaces around them.

    Args:
      names: in the order of the keypoints.
      count: how many keypoints there are.
      origin: of the list, for messages.

    Raises:
      UserError: for another number of names, an empty one, and one that occurs twice.
    """
    names = tuple(str(name).strip() for name in names)
    if len(names) != count:
        raise UserError(f"{origin}: {len(names)} names for {count} keypoints")
    for place, name in enumerate(names):
        if not name or name in names[:place]:
            raise UserError(f"{origin}: the list of keypoints holds {f'{name!r} twice' if name else 'an empty name'}")
    return names
