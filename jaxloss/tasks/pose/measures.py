"""How far predicted keypoints are from the true ones, in the pixels of the file, and what that is worth; NumPy or inside jit."""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array
from jaxloss.tasks.data.keypoints.source import AREA, KEYPOINTS, ORIGIN, SCALE, VISIBLE

AP, AP50, AP75, OKS, PCK = METRICS = ("ap", "ap50", "ap75", "oks", "pck")
# Similarities that are asked for: those of COCO.
THRESHOLDS = np.linspace(0.5, 0.95, 10)
# Of the seventeen keypoints of COCO, from nose to ankles.
COCO_SIGMAS = tuple(
    tenth / 10 for tenth in (0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89)
)
# Where the area of a subject comes from.
ANNOTATED, EXTENT = AREAS = ("annotated", "extent")


@dataclasses.dataclass(frozen=True)
class PoseMeasures:
    """Measures keypoints, each of them by itself. Batches are those of the task, predictions in pixels of the input.

    Attributes:
      sigmas: of the keypoints, `[K]`: how differently people place them, as a share of the root of the area.
      area: in `AREAS`; `extent` is the box around the visible keypoints, of a pixel at least.
      share: a keypoint is correct that is no farther from the true one than this share of a length.
      length: this length, in pixels of the file; 0 for the longer side of the box around the visible keypoints.

    References:
      T.-Y. Lin et al., COCO keypoint challenge 2016 (object keypoint similarity); Yang and Ramanan, PAMI 2013 (PCK).
    """

    sigmas: tuple[float, ...]
    area: str
    share: float
    length: float

    def extent(self, batch: Mapping[str, Array]) -> Array:
        """Width and height of the box around the visible keypoints, `[N, 2]`, in pixels of the file, one at least."""
        places, visible = in_file(batch[KEYPOINTS], batch), batch[VISIBLE][..., None]
        high = jnp.max(jnp.where(visible, places, -jnp.inf), axis=-2)
        low = jnp.min(jnp.where(visible, places, jnp.inf), axis=-2)
        return jnp.maximum(high - low, 1)

    def areas(self, batch: Mapping[str, Array]) -> Array:
        """Of the subjects, `[N]`, in squared pixels of the file."""
        return batch[AREA] if self.area == ANNOTATED else jnp.prod(self.extent(batch), axis=-1)

    def spreads(self, batch: Mapping[str, Array]) -> Array:
        """`2 area (2 sigma)^2`, `[N, K]`: the squared distance at which the similarity is 1/e."""
        return 2 * self.areas(batch)[:, None] * (2 * jnp.array(self.sigmas)) ** 2

    def reaches(self, batch: Mapping[str, Array]) -> Array:
        """The distance that a correct keypoint may have, `[N]`, in pixels of the file."""
        lengths = jnp.max(self.extent(batch), axis=-1)
        return self.share * (jnp.full_like(lengths, self.length) if self.length else lengths)

    def similarities(self, predicted: Array, batch: Mapping[str, Array]) -> Array:
        """Of each keypoint, `[N, K]`, 0 to 1, whether visible or not; the OKS is their mean over the visible ones."""
        return jnp.exp(-squared_distances(predicted, batch) / self.spreads(batch))

    def correct(self, predicted: Array, batch: Mapping[str, Array]) -> Array:
        """Which keypoints are near enough, bool `[N, K]`, whether visible or not."""
        return squared_distances(predicted, batch) <= self.reaches(batch)[:, None] ** 2


def in_file(keypoints: Array, batch: Mapping[str, Array]) -> Array:
    """Keypoints `[N, K, 2]` of the input in the pixels of the file."""
    return keypoints * batch[SCALE][:, None] + batch[ORIGIN][:, None]


def squared_distances(predicted: Array, batch: Mapping[str, Array]) -> Array:
    """From predicted to true keypoints, `[N, K]`, in squared pixels of the file."""
    return jnp.sum(((predicted - batch[KEYPOINTS]) * batch[SCALE][:, None]) ** 2, axis=-1)


def worth(metric: str, similarity: Array, correct: Array) -> Array:
    """What the metric would be where this keypoint were the only one of the only subject, `[...]`, 0 to 1.

    Args:
      metric: in `METRICS`.
      similarity: float `[...]`.
      correct: bool `[...]`.
    """
    if metric == PCK:
        return correct.astype(similarity.dtype)
    if metric == OKS:
        return similarity
    asked = {AP: THRESHOLDS, AP50: THRESHOLDS[:1], AP75: THRESHOLDS[5:6]}[metric]
    return jnp.mean(similarity[..., None] >= jnp.asarray(asked, similarity.dtype), axis=-1, dtype=similarity.dtype)
