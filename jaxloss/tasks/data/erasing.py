"""Random erasing: a box of every second image or so is painted over, inside jit."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array

# Of the boxes with the usual settings 5% do not fit into an image of 256 x 128 and 12% not into one of 384 x 128.
_ATTEMPTS = 10


def erase(
    images: Array,
    key: Array,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 1 / 0.3),
    fill: str | float | Sequence[float] = "mean",
) -> Array:
    """Paints a random box over with one colour or with noise.

    A box has an area and an aspect ratio (height / width), both drawn uniformly, its sides are rounded to pixels, and it lies
    anywhere inside the image. As in the authors' code, one that is as high or as wide as the image, or more, is drawn again. The
    shapes inside jit are fixed, so that it is drawn ten times at once and the first that fits is taken; an image without one,
    where the authors would try up to a hundred times, stays as it is.

    Args:
      images: uint8 (0 to 255) or float (taken as 0 to 1) `[N, H, W, C]`.
      key: one key for the whole batch.
      probability: that an image gets a box, in [0, 1].
      area: smallest and largest share of the image.
      aspect: smallest and largest height / width.
      fill: `mean` (the mean pixel of the batch), `random` (uniform, for each pixel and channel), or a pixel on the scale of 0 to
        1, one number or one per channel.

    Raises:
      UserError: for settings out of range.

    References:
      Z. Zhong et al.: Random Erasing Data Augmentation, AAAI 2020, Algorithm 1.
    """
    if not (0 <= probability <= 1 and 0 < area[0] <= area[1] < 1 and 0 < aspect[0] <= aspect[1]):
        raise UserError(f"random erasing cannot have probability {probability}, area {area}, aspect {aspect}")
    box_key, fill_key = jax.random.split(key)
    erased = _boxes(box_key, images.shape[:3], probability, area, aspect)[..., None]
    return jnp.where(erased, _fill(images, fill_key, fill), images)


def _boxes(
    key: Array, shape: tuple[int, int, int], probability: float, area: tuple[float, float], aspect: tuple[float, float]
) -> Array:
    """bool `[N, H, W]`: the pixels to paint over."""
    count, height, width = shape
    # All draws at once: generating them is most of what there is to compile.
    draws = jax.random.uniform(key, (count, 2 * _ATTEMPTS + 3))
    area_draws, aspect_draws, chosen_draw, corner_draws = jnp.split(draws, (_ATTEMPTS, 2 * _ATTEMPTS, 2 * _ATTEMPTS + 1), axis=1)
    pixels = (area[0] + (area[1] - area[0]) * area_draws) * height * width
    ratio = aspect[0] + (aspect[1] - aspect[0]) * aspect_draws
    sides = jnp.stack([jnp.sqrt(pixels * ratio), jnp.sqrt(pixels / ratio)], axis=-1)
    sides = jnp.maximum(jnp.round(sides), 1).astype(jnp.int32)
    limits = jnp.array([height, width])
    fits = (sides < limits).all(axis=-1)
    side = jnp.take_along_axis(sides, jnp.argmax(fits, axis=1)[:, None, None], axis=1)[:, 0]
    chosen = (chosen_draw[:, 0] < probability) & fits.any(axis=1)
    corner = jnp.floor(corner_draws * (limits - side + 1)).astype(jnp.int32)

    def within(axis: int, length: int) -> Array:
        places = jnp.arange(length)
        return (places >= corner[:, axis, None]) & (places < (corner + side)[:, axis, None])

    return chosen[:, None, None] & within(0, height)[:, :, None] & within(1, width)[:, None, :]


def _fill(images: Array, key: Array, fill: str | float | Sequence[float]) -> Array:
    """What boxes are painted with, of a shape that spreads over the images."""
    is_integer = images.dtype == jnp.uint8
    if isinstance(fill, str):
        if fill not in ("mean", "random"):
            raise UserError(f"the fill of random erasing must be 'mean', 'random' or a pixel, not '{fill}'")
        if fill == "random":
            return (
                jax.random.bits(key, images.shape, jnp.uint8)
                if is_integer
                else jax.random.uniform(key, images.shape, images.dtype)
            )
        pixel = images.mean(axis=(0, 1, 2), keepdims=True, dtype=jnp.float32)
    else:
        pixel = jnp.asarray(fill, jnp.float32).reshape(1, 1, 1, -1) * (255 if is_integer else 1)
    return (jnp.round(pixel) if is_integer else pixel).astype(images.dtype)
