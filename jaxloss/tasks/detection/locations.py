"""The places of an image that predict boxes: the middles of the cells of every level of a pyramid."""

import dataclasses
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Locations:
    """All locations of images of one size, level by level, each row by row.

    Attributes:
      points: float32 `[L, 2]`, x and y in pixels.
      strides: float32 `[L]`, pixels between neighbours of the level.
      levels: int32 `[L]`, the number of the level, from the finest on.
    """

    points: np.ndarray
    strides: np.ndarray
    levels: np.ndarray

    def __len__(self) -> int:
        return len(self.strides)

    @classmethod
    def create(cls, image_size: tuple[int, int], strides: Sequence[int]) -> "Locations":
        """Those of images of `(height, width)` pixels: of a stride s there are `ceil(height / s)` times `ceil(width / s)`.

        A location is the middle of the s x s pixels that its cell stands for (Tian et al., ICCV 2019, Section 3.1).
        """
        points, of_points, levels = [], [], []
        for level, stride in enumerate(strides):
            rows, columns = (-(-side // stride) for side in image_size)
            y, x = np.mgrid[:rows, :columns]
            points.append((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride)
            of_points.append(np.full(rows * columns, stride))
            levels.append(np.full(rows * columns, level))
        return cls(
            np.concatenate(points).astype(np.float32),
            np.concatenate(of_points).astype(np.float32),
            np.concatenate(levels).astype(np.int32),
        )
