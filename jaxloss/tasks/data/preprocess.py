"""What happens to images inside jit: scaling, and the random changes of training."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array


def standardise(images: Array, mean: float | Sequence[float], deviation: float | Sequence[float]) -> Array:
    """Images as float, `(x - mean) / deviation`.

    Args:
      images: uint8 (taken as 0 to 1 in steps of 1 / 255) or float `[N, H, W, C]`.
      mean: of a pixel on the scale of 0 to 1, one number or one per channel.
      deviation: likewise.
    """
    if images.dtype == jnp.uint8:
        images = images.astype(jnp.float32) / 255.0
    mean, deviation = (jnp.asarray(value, images.dtype).reshape(1, 1, 1, -1) for value in (mean, deviation))
    return (images - mean) / deviation


def crop_flip(batch: Mapping[str, Array], key: Array, padding: int = 4) -> Mapping[str, Array]:
    """Shifts every image by up to `padding` pixels (black comes in at the border) and mirrors half of them.

    Args:
      batch: with `image` `[N, H, W, C]`; what else it holds stays.
      key: one key for the whole batch.
      padding: largest shift in pixels.
    """
    images = batch["image"]
    crop_key, flip_key = jax.random.split(key)
    padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    corners = jax.random.randint(crop_key, (len(images), 2), 0, 2 * padding + 1)

    def crop(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    cropped = jax.vmap(crop)(padded, corners)
    mirrored = jax.random.bernoulli(flip_key, 0.5, (len(images), 1, 1, 1))
    return {**batch, "image": jnp.where(mirrored, cropped[:, :, ::-1], cropped)}


AUGMENTATIONS: Mapping[str, Callable[[Mapping[str, Array], Array], Mapping[str, Array]] | None] = {
    "none": None,
    "crop_flip": crop_flip,
}
