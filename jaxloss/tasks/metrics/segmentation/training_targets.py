"""What a network is trained towards: the labels, or their boundaries for metrics that look at boundaries."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.errors import unknown
from jaxloss.core.types import Array
from jaxloss.core.windows import any_within
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.classes import true_classes

LABELS, EDGES, BAND = TRAINING_TARGETS = ("labels", "edges", "band")
# Boundaries for both of the boundary metrics, as the paper has it without saying which. Right on the edges alone a prediction has
# a boundary F1 near 1 and a boundary IoU far below: most of the trimap is none.
CUSTOMARY: Mapping[str, str] = {
    "mean_iou": LABELS,
    "frequency_weighted_iou": LABELS,
    "global_accuracy": LABELS,
    "mean_accuracy": LABELS,
    "boundary_iou": BAND,
    "boundary_f1": EDGES,
}


def training_target(
    labels: Array, num_classes: int, kind: str, rule: BoundaryRule, mask: Array | None = None
) -> tuple[Array, Array]:
    """The target of a loss, made from true labels (pure).

    - `labels`: one-hot.
    - `edges`: one-hot on the boundary of the position's own class, and zeros in all channels elsewhere: there is no channel
      for 'no boundary'. The prediction stays what it is, the softmax over the classes.
    - `band`: one-hot in the trimap around all boundaries; what lies outside is void for the loss.

    Args:
      labels: int `[N, H, W]`; 255 and whatever else is no class are void.
      num_classes: `C`.
      kind: one of `TRAINING_TARGETS`; `CUSTOMARY` has that of each metric.
      rule: what a boundary is, and how wide the trimap.
      mask: bool `[N, H, W]` or `[N, H, W, 1]`, False for what is void beside that; None for nothing.

    Returns:
      Target, float32 `[N, H, W, C]`, 0 where void, and mask, bool `[N, H, W, 1]`, as `LossInputs` has it.

    Raises:
      UserError: for an unknown kind, and see `classes.true_classes`.

    References:
      Li et al., CVPR 2022, Appendix A.1 (`edges`); Li et al.: Auto Seg-Loss, ICLR 2021, published code (`band`).
    """
    if kind not in TRAINING_TARGETS:
        raise unknown("training target", kind, TRAINING_TARGETS)
    classes = true_classes(jnp.asarray(labels), num_classes, mask)
    valid = classes < num_classes
    # Of what is void all channels are zero.
    target = jax.nn.one_hot(classes, num_classes, dtype=jnp.float32)
    if kind == LABELS:
        return target, valid[..., None]
    edges = rule.edges(classes, num_classes, valid)
    if kind == EDGES:
        return target * edges[..., None], valid[..., None]
    band = any_within(edges, rule.trimap_width) & valid
    return target * band[..., None], band[..., None]
