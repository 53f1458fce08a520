"""Regions that a stage is trained on, anchors or proposals: a fixed number of each image, and what they are to learn."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.data.boxes.source import BOXES, CROWD, LABELS, VALID
from jaxloss.tasks.two_stage_detection.matching import OverlapMatching
from jaxloss.tasks.two_stage_detection.sampling import draw


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Regions:
    """Sampled regions of a batch.

    Attributes:
      boxes: float `[N, S, 4]` in pixels.
      labels: int32 `[N, S]`, the class, -1 for background and padding.
      index: int32 `[N, S]`, the number of the true box of a positive region, or -1.
      truth: float `[N, S, 4]`, the true box of a positive region, else the region itself.
      counted: bool `[N, S]`, False for padding.
      places: int32 `[N, S]`, which of the regions that there were.
    """

    boxes: Array
    labels: Array
    index: Array
    truth: Array
    counted: Array
    places: Array

    @property
    def positive(self) -> Array:
        """bool `[N, S]`."""
        return self.index >= 0


@dataclasses.dataclass(frozen=True)
class RegionSampler:
    """Matches regions with boxes, and draws some of them.

    Attributes:
      matching: which regions learn what.
      count: `S` of an image.
      positive_share: of them, at most.
    """

    matching: OverlapMatching
    count: int
    positive_share: float

    def __call__(self, key: Array, regions: Array, region_valid: Array, batch: Mapping[str, Array]) -> Regions:
        """Regions of every image of a batch.

        Args:
          key: of the draws.
          regions: float `[N, A, 4]` in pixels, padded.
          region_valid: bool `[N, A]`, False for padding.
          batch: with padded `boxes` `[N, K, 4]`, `labels`, `valid` and `crowd` `[N, K]`, K at least 1.
        """

        def of_image(key: Array, own: Array, own_valid: Array, boxes: Array, labels: Array, *known: Array) -> Regions:
            matches = self.matching(own, own_valid, boxes, *known)
            places, used = draw(key, matches.positive, matches.negative, self.count, self.positive_share)
            index = jnp.where(used, matches.index[places], -1)
            positive = index >= 0
            return Regions(
                boxes=own[places],
                labels=jnp.where(positive, labels[index], -1).astype(jnp.int32),
                index=index,
                truth=jnp.where(positive[:, None], boxes[index], own[places]),
                counted=used,
                places=places,
            )

        keys = jax.random.split(key, len(regions))
        return jax.vmap(of_image)(keys, regions, region_valid, *(batch[name] for name in (BOXES, LABELS, VALID, CROWD)))


def taken(outputs: Array, regions: Regions) -> Array:
    """What outputs `[N, A, ...]` say of the sampled regions, `[N, S, ...]`."""
    return jax.vmap(lambda own, places: own[places])(outputs, regions.places)
