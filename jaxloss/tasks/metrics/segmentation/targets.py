"""True labels with all that metrics need to know of them, computed once for however many predictions."""

import dataclasses

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.core.windows import any_within
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.classes import class_bits, true_classes


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SegmentationTargets:
    """Labels and their boundaries; samples stand on the leading axis of every array.

    Attributes:
      classes: int32 `[N, H, W]`, `C` where void.
      valid: bool `[N, H, W]`, False where void.
      edges: bool `[N, H, W]`, whether a position lies on the boundary of its class.
      near: uint32 `[N, H, W, ceil(C / 32)]`, the classes that have a boundary within the tolerance, see `classes.class_bits`.
      band: bool `[N, H, W]`, the valid positions in the trimap around the boundaries of all classes.
    """

    classes: Array
    valid: Array
    edges: Array
    near: Array
    band: Array


def prepare_targets(labels: Array, num_classes: int, rule: BoundaryRule, mask: Array | None = None) -> SegmentationTargets:
    """Finds the boundaries of true labels.

    Args:
      labels: int `[N, H, W]`; 255 and whatever else is no class are void.
      num_classes: `C`.
      rule: of the boundaries.
      mask: bool `[N, H, W]` or `[N, H, W, 1]`, False for what is void beside that; None for nothing.

    Raises:
      UserError: see `classes.true_classes`.
    """
    classes = true_classes(jnp.asarray(labels), num_classes, mask)
    valid = classes < num_classes
    edges = rule.edges(classes, num_classes, valid)
    near = any_within(class_bits(classes, edges, num_classes), rule.tolerance)
    return SegmentationTargets(classes, valid, edges, near, any_within(edges, rule.trimap_width) & valid)
