"""A fixed number of regions of an image, drawn at random inside jit: some positive, the rest background."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array


class Drawn(NamedTuple):
    """Places of the regions that were drawn.

    Attributes:
      places: int32 `[S]`, positive ones first.
      used: bool `[S]`, False where there were too few regions.
    """

    places: Array
    used: Array


def draw(key: Array, positive: Array, negative: Array, count: int, positive_share: float) -> Drawn:
    """At most `floor(count positive_share)` positive regions, and background up to `count`; every one equally likely.

    Args:
      key: of the priorities.
      positive: bool `[A]`.
      negative: bool `[A]`, none of them positive.
      count: `S`; fewer where there are fewer regions altogether, never more positive ones in place of background.
      positive_share: 0 to 1.

    References:
      S. Ren et al.: Faster R-CNN, NIPS 2015, Section 3.1.3 (256, half of them positive); R. Girshick: Fast R-CNN, ICCV 2015,
      Section 2.3 (a quarter).
    """
    # From 1 to 2: below the highest draw of what may not be drawn stands 0.
    priorities = 1 + jax.random.uniform(key, positive.shape)
    count = min(count, len(positive))
    most = min(math.floor(count * positive_share + 1e-9), count)
    num_positive = jnp.minimum(jnp.sum(positive), most)
    first = lax.top_k(jnp.where(positive, priorities, 0), count)[1]
    then = lax.top_k(jnp.where(negative, priorities, 0), count)[1]
    slots = jnp.arange(count)
    is_positive = slots < num_positive
    places = jnp.where(is_positive, first, then[jnp.maximum(slots - num_positive, 0)])
    return Drawn(places.astype(jnp.int32), is_positive | (slots - num_positive < jnp.sum(negative)))
