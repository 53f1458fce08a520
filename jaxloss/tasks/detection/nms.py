"""Non-maximum suppression of a fixed size, class by class, on the device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.boxes import overlap
from jaxloss.core.types import Array


class Detections(NamedTuple):
    """What was found in an image, the surest first.

    Attributes:
      boxes: float `[M, 4]`, zeros where nothing is.
      scores: float `[M]`, 0 where nothing is.
      labels: int32 `[M]`, numbers of the classes; -1 where nothing is.
    """

    boxes: Array
    scores: Array
    labels: Array


def suppress(boxes: Array, scores: Array, minimum_score: float, maximum_iou: float, most: int, candidates: int) -> Detections:
    """Keeps a box unless one of its class that is surer, and kept, overlaps it; jittable, for one image.

    Greedy, as everywhere: boxes by falling score (equal ones in their order), class by class, so that boxes of different classes
    never touch each other.

    Args:
      boxes: float `[L, 4]`, shared by all classes, or `[L, C, 4]`, one for each.
      scores: float `[L, C]`, 0 to 1.
      minimum_score: what is not above it is left out.
      maximum_iou: two kept boxes of a class overlap by at most so much.
      most: `M`, boxes that are kept of all classes together, the surest ones.
      candidates: pairs of a box and a class that are looked at, the surest ones.

    Returns:
      `M` detections.
    """
    num_classes = scores.shape[1]
    flat = jnp.where(scores > minimum_score, scores, 0).reshape(-1)
    # `top_k` takes the first of equal ones, as a stable sort would.
    sure, index = lax.top_k(flat, min(candidates, flat.size))
    own = boxes.reshape(-1, 4)[index] if boxes.ndim == 3 else boxes[index // num_classes]
    labels = index % num_classes
    is_other = labels[:, None] != labels[None, :]
    touches = jnp.where(is_other, False, overlap(own[:, None], own[None]).iou > maximum_iou)
    places = jnp.arange(len(sure))

    def look_at(place: Array, kept: Array) -> Array:
        # Those behind a box that is kept, and touched by it, go.
        gone = touches[place] & (places > place) & kept[place]
        return kept & ~gone

    kept = lax.fori_loop(0, len(sure), look_at, sure > 0)
    best, chosen = lax.top_k(jnp.where(kept, sure, 0), min(most, len(sure)))
    there = best > 0
    found = Detections(jnp.where(there[:, None], own[chosen], 0), best, jnp.where(there, labels[chosen], -1).astype(jnp.int32))
    missing = most - len(best)
    fill = {"boxes": 0, "scores": 0, "labels": -1}
    return Detections(
        *(
            jnp.pad(array, [(0, missing)] + [(0, 0)] * (array.ndim - 1), constant_values=fill[name])
            for name, array in found._asdict().items()
        )
    )


def suppress_all(boxes: Array, scores: Array, minimum_score: float, maximum_iou: float, most: int, candidates: int) -> Detections:
    """`suppress` for every image of a batch: boxes `[N, L, 4]` or `[N, L, C, 4]`, scores `[N, L, C]`."""
    return jax.vmap(lambda *one: suppress(*one, minimum_score, maximum_iou, most, candidates))(boxes, scores)
