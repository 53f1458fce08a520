"""Random changes of images and boxes together, inside jit: scale, crop, mirror image."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.data.augmentations import Batch
from jaxloss.tasks.data.boxes.source import BOXES, CONTENT, IMAGE, VALID
from jaxloss.tasks.data.instances.arrays import MASKS
from jaxloss.tasks.data.random_window import Window, cut_image, draw_window

# Pixels of a side; what is left of a box that was cut off is no object below.
LEAST_SIDE = 1.0


def flip(batch: Batch, key: Array) -> Batch:
    """Half of the images are mirrored left to right, with their boxes.

    Args:
      batch: `image` `[N, H, W, C]`, `boxes` `[N, K, 4]` in its pixels, `valid` `[N, K]`, `content` `[N, 4]` and, where objects
        have masks, `masks` `[N, K, s, s]` in their boxes; what else it holds stays.
      key: one key for the whole batch.
    """
    image, boxes, content = batch[IMAGE], batch[BOXES], batch[CONTENT]
    mirrored = jax.random.bernoulli(key, 0.5, (len(image),))
    width = image.shape[2]
    # Padding stays at zero.
    turned = jnp.where(batch[VALID][..., None], mirror_boxes(boxes, width), boxes)
    if MASKS in batch:
        masks = batch[MASKS]
        batch = {**batch, MASKS: jnp.where(mirrored[:, None, None, None], masks[..., ::-1], masks)}
    return {
        **batch,
        IMAGE: jnp.where(mirrored[:, None, None, None], image[:, :, ::-1], image),
        BOXES: jnp.where(mirrored[:, None, None], turned, boxes),
        CONTENT: jnp.where(mirrored[:, None], mirror_boxes(content, width), content),
    }


def mirror_boxes(boxes: Array, width: Array | int) -> Array:
    """Boxes `[..., 4]` of an image of this width that is mirrored left to right."""
    left, top, right, bottom = jnp.moveaxis(boxes, -1, 0)
    return jnp.stack([width - right, top, width - left, bottom], axis=-1)


def scale_crop_flip(
    batch: Batch,
    key: Array,
    crop_size: tuple[int, int],
    scales: tuple[float, float] = (0.5, 2.0),
    pixel: float | Sequence[float] = 0.0,
    mirror: bool = True,
) -> Batch:
    """Scales every image at random, mirrors half of them, and cuts a random window out, with the boxes; see `draw_window`.

    Boxes are cut at the window. One that is cut away, or of which less than a pixel is left in height or in width, is no longer
    valid; its numbers are zeros, as those of padding are.

    Args:
      batch: `image` uint8 or float `[N, H, W, C]`, `boxes` `[N, K, 4]` in its pixels, `valid` `[N, K]` and `content` `[N, 4]`;
        what else it holds stays.
      key: one key for the whole batch.
      crop_size: (height, width) of the window in pixels (static).
      scales: the smallest and the largest factor.
      pixel: of the padding, on the scale of 0 to 1, one number or one for each of three channels.
      mirror: whether every second image is mirrored.

    Returns:
      The batch with `image` `[N, h, w, C]`, `(h, w)` being the crop size, and boxes and content in its pixels.

    Raises:
      UserError: for settings out of range.

    References:
      G. Ghiasi et al.: Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation, CVPR 2021, Section 3
        (scale jitter, 0.8 to 1.25 and 0.1 to 2).
    """
    sides = batch[IMAGE].shape[1:3]

    def change(image: Array, boxes: Array, valid: Array, content: Array, key: Array) -> tuple[Array, Array, Array, Array]:
        window = draw_window(key, sides, crop_size, scales, mirror)
        cut = functools.partial(cut_boxes, window=window, size=sides, crop_size=crop_size)
        moved = cut(boxes)
        valid &= jnp.all(moved[:, 2:] - moved[:, :2] >= LEAST_SIDE, axis=-1)
        return cut_image(image, window, pixel), jnp.where(valid[:, None], moved, 0), valid, cut(content)

    keys = jax.random.split(key, len(batch[IMAGE]))
    image, boxes, valid, content = jax.vmap(change)(batch[IMAGE], batch[BOXES], batch[VALID], batch[CONTENT], keys)
    return {**batch, IMAGE: image, BOXES: boxes, VALID: valid, CONTENT: content}


def cut_boxes(boxes: Array, window: Window, size: tuple[int, int], crop_size: tuple[int, int]) -> Array:
    """Boxes `[..., 4]` in the pixels of a window, cut at its sides; those outside of it have no area.

    Args:
      boxes: in the pixels of the image.
      window: what is cut out of it.
      size: (height, width) of the image.
      crop_size: of the window.
    """
    height, width = (window.scaled[axis] / size[axis] for axis in range(2))
    scaled = boxes * jnp.stack([width, height, width, height])
    scaled = jnp.where(window.mirrored, mirror_boxes(scaled, window.scaled[1]), scaled)
    top, left = window.corner
    high, wide = crop_size
    return jnp.clip(scaled - jnp.stack([left, top, left, top]), 0, jnp.array([wide, high, wide, high], boxes.dtype))


# Settings beyond batch and key.
BOX_AUGMENTATIONS: Mapping[str, Callable[..., Batch] | None] = {"none": None, "flip": flip, "scale_crop_flip": scale_crop_flip}
