"""What networks of two stages give: objects and boxes of all anchors, then classes and boxes of the regions that are left."""

import dataclasses

import jax

from jaxloss.core.types import Array
from jaxloss.tasks.models.detection.network import PyramidNetwork


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FirstStage:
    """The outputs of the first stage for a batch; numbers in float32, level by level from the finest on, each row by row.

    Attributes:
      pyramid: a map of each level that regions are cut out of, `[N, h, w, C]`, the finest first.
      logits: `[N, A, 2]`, of an object and of background, the anchors of a location one after the other.
      deltas: `[N, A, 4]`, of the box, from its anchor.
    """

    pyramid: tuple[Array, ...]
    logits: Array
    deltas: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SecondStage:
    """The outputs of the second stage for `R` regions of each image, in float32.

    Attributes:
      logits: `[N, R, C + 1]`, background is the last.
      deltas: `[N, R, C, 4]`, of the box that an object of each class has, from the region.
    """

    logits: Array
    deltas: Array


class TwoStageNetwork(PyramidNetwork):
    """A network with the methods `propose` and `classify`; called, it does one after the other with made-up regions.

    All networks have the attributes `num_classes` (without background), `num_anchors` (of a location), `dtype` and `axis_name`:
    under that name of a device axis, over which a batch is divided, `network.clone(axis_name=...)` normalises by the statistics
    of the whole batch.
    """

    def propose(self, images: Array, train: bool = False) -> FirstStage:
        """The first stage for images `[N, H, W, channels]`."""
        raise NotImplementedError

    def classify(self, pyramid: tuple[Array, ...], boxes: Array, valid: Array) -> SecondStage:
        """The second stage for boxes float `[N, R, 4]` in pixels; `valid` bool `[N, R]` is False for padding."""
        raise NotImplementedError
