"""What the mask branch offers to losses: whether each cell of a region belongs to its object."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, LossInputs
from jaxloss.tasks.data.boxes.source import BOXES
from jaxloss.tasks.data.instances.arrays import MASKS
from jaxloss.tasks.models.detection.roi_align import roi_align
from jaxloss.tasks.two_stage_detection.regions import Regions

MASK = "mask"
OFFERS = ("prediction", "target", "logits")
RANGES = {"prediction": (0.0, 1.0), "target": (0.0, 1.0)}
MEANINGS = {
    "prediction": "probabilities of object and background in each cell of a region's mask, the softmax of the logits",
    "target": "one-hot, object and background",
    "logits": "of the region's class, and 0 for background",
}
# Of a cell, from which share on it belongs to the object.
_INSIDE = 0.5
# In pixels; a shorter side of a true box is taken for so long a one.
_SHORTEST = 1e-3


@dataclasses.dataclass(frozen=True)
class MaskInputs:
    """Makes the inputs of the losses of masks, `[N M, m, m, 2]`: each region is a sample, each cell a position.

    Attributes:
      size: `m`, cells along each side.
      sampling_ratio: points along each side of a cell at which the true mask is looked at.

    References:
      K. He et al.: Mask R-CNN, ICCV 2017, Section 3: a sigmoid for the region's class alone, of positive regions alone.
      Li et al., CVPR 2022, Appendix A.3: "per-pixel softmax probabilities indicating foreground or background"; with 0 as the
      logit of background that softmax is the sigmoid of Mask R-CNN, and its cross-entropy the binary one.
    """

    size: int
    sampling_ratio: int = 2

    def targets(self, regions: Regions, batch: Mapping[str, Array]) -> Array:
        """What positive regions show of the masks of their objects, bool `[N, M, m, m]`; False for all others.

        RoIAlign of the true mask, from one half on. Outside of the true box there is nothing of it.

        Args:
          regions: `M` of each image.
          batch: with `boxes` `[N, K, 4]` and `masks` bool `[N, K, s, s]`, each in its box.
        """
        index = jnp.maximum(regions.index, 0)
        boxes = jnp.take_along_axis(batch[BOXES], index[..., None], axis=1)
        masks = jax.vmap(lambda own, places: own[places])(batch[MASKS], index)
        count, num_regions, side = masks.shape[:3]
        # In cells of the kept mask, which a ring of nothing is put around.
        sides = jnp.maximum(boxes[..., 2:] - boxes[..., :2], _SHORTEST)
        corners = boxes[..., :2]
        inside = jnp.concatenate([(regions.boxes[..., end : end + 2] - corners) / sides * side + 1 for end in (0, 2)], axis=-1)
        ringed = jnp.pad(masks.reshape(-1, side, side, 1).astype(jnp.float32), ((0, 0), (1, 1), (1, 1), (0, 0)))
        positive = regions.positive.reshape(-1, 1)
        seen = roi_align([ringed], (1,), inside.reshape(-1, 1, 4), positive, self.size, self.sampling_ratio)
        return (seen >= _INSIDE).reshape(count, num_regions, self.size, self.size) & regions.positive[..., None, None]

    def __call__(self, logits: Array, targets: Array, positive: Array) -> LossInputs:
        """`prediction`, `target` and `logits` `[N M, m, m, 2]`, object and background; a mean over the cells of positive regions.

        Args:
          logits: of the region's class, `[N, M, m, m]`.
          targets: bool `[N, M, m, m]`.
          positive: bool `[N, M]`, False for regions that learn no mask.
        """
        pairs = with_background(logits.reshape(-1, *logits.shape[2:]))
        inside = targets.reshape(pairs.shape[:-1])
        arrays = {
            "prediction": jax.nn.softmax(pairs),
            "target": two_classes(inside, pairs.dtype),
            "logits": pairs,
        }
        mask = jnp.broadcast_to(positive.reshape(-1, 1, 1, 1), (*pairs.shape[:-1], 1))
        return LossInputs.create(arrays, mask)


def with_background(logits: Array) -> Array:
    """Logits `[..., 2]` of object and background, whose logit is 0, of those of an object `[...]`."""
    return jnp.stack([logits, jnp.zeros_like(logits)], axis=-1)


def two_classes(inside: Array, dtype: jnp.dtype) -> Array:
    """One-hot `[..., 2]` of what belongs to an object, bool `[...]`."""
    return jnp.stack([inside, ~inside], axis=-1).astype(dtype)


def of_class(logits: Array, labels: Array) -> Array:
    """The logits `[N, R, m, m]` of the class that a region has, of `[N, R, m, m, C]`; of background those of the first class."""
    places = jnp.maximum(labels, 0)[..., None, None, None]
    return jnp.take_along_axis(logits, places, axis=-1)[..., 0]
