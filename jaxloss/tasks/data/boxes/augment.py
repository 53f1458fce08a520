"""Random changes of images and boxes together, inside jit."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.data.boxes.source import BOXES, IMAGE, VALID

Batch = Mapping[str, Array]


def flip(batch: Batch, key: Array) -> Batch:
    """Half of the images are mirrored left to right, with their boxes.

    Args:
      batch: `image` `[N, H, W, C]`, `boxes` `[N, K, 4]` in its pixels and `valid` `[N, K]`; what else it holds stays.
      key: one key for the whole batch.
    """
    image, boxes = batch[IMAGE], batch[BOXES]
    mirrored = jax.random.bernoulli(key, 0.5, (len(image),))
    width = image.shape[2]
    left, top, right, bottom = jnp.moveaxis(boxes, -1, 0)
    turned = jnp.stack([width - right, top, width - left, bottom], axis=-1)
    # Padding stays at zero.
    turned = jnp.where(batch[VALID][..., None], turned, boxes)
    return {
        **batch,
        IMAGE: jnp.where(mirrored[:, None, None, None], image[:, :, ::-1], image),
        BOXES: jnp.where(mirrored[:, None, None], turned, boxes),
    }


BOX_AUGMENTATIONS: Mapping[str, Callable[[Batch, Array], Batch] | None] = {"none": None, "flip": flip}
