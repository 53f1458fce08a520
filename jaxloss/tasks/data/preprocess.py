"""What happens to images inside jit: scaling, and the random changes of training."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.types import Array
from jaxloss.tasks.data.erasing import erase


def standardise(images: Array, mean: float | Sequence[float], deviation: float | Sequence[float]) -> Array:
    """Images as float, `(x - mean) / deviation`.

    Args:
      images: uint8 (taken as 0 to 1 in steps of 1 / 255) or float `[N, H, W, C]`.
      mean: of a pixel on the scale of 0 to 1, one number or one per channel.
      deviation: likewise.

    Raises:
      UserError: for another number of values than of channels.
    """
    channels = images.shape[-1]
    for name, value in (("mean", mean), ("deviation", deviation)):
        if np.size(value) not in (1, channels):
            raise UserError(f"pixel_{name} takes one number, or one for each of {channels} channels, not {value}")
    if images.dtype == jnp.uint8:
        images = images.astype(jnp.float32) / 255.0
    mean, deviation = (jnp.asarray(value, images.dtype).reshape(1, 1, 1, -1) for value in (mean, deviation))
    return (images - mean) / deviation


def crop(batch: Mapping[str, Array], key: Array, padding: int = 4) -> Mapping[str, Array]:
    """Shifts every image by up to `padding` pixels; black comes in at the border. For images that must not be mirrored.

    Args:
      batch: with `image` `[N, H, W, C]`; what else it holds stays.
      key: one key for the whole batch.
      padding: largest shift in pixels.
    """
    return {**batch, "image": _shifted(batch["image"], key, padding)}


def crop_flip(batch: Mapping[str, Array], key: Array, padding: int = 4) -> Mapping[str, Array]:
    """`crop`, and half of the images are mirrored left to right."""
    crop_key, flip_key = jax.random.split(key)
    return {**batch, "image": _mirrored(_shifted(batch["image"], crop_key, padding), flip_key)}


def crop_erase(batch: Mapping[str, Array], key: Array, padding: int = 4, **erasing: Any) -> Mapping[str, Array]:
    """`crop`, then random erasing; `erasing` are the settings of `erasing.erase`."""
    crop_key, erase_key = jax.random.split(key)
    return {**batch, "image": erase(_shifted(batch["image"], crop_key, padding), erase_key, **erasing)}


def crop_flip_erase(batch: Mapping[str, Array], key: Array, padding: int = 10, **erasing: Any) -> Mapping[str, Array]:
    """`crop_flip`, then random erasing: the augmentation of person re-identification, with 10 pixels at 256 x 128.

    References:
      H. Gu et al., CVPR 2022, supplement, section G.2: random cropping, random horizontal flipping and random erasing.
      H. Luo et al.: Bag of Tricks and a Strong Baseline for Deep Person Re-identification, CVPRW 2019 (10 pixels).
    """
    flip_key, erase_key = jax.random.split(key)
    flipped = crop_flip(batch, flip_key, padding)
    return {**flipped, "image": erase(flipped["image"], erase_key, **erasing)}


def _shifted(images: Array, key: Array, padding: int) -> Array:
    if type(padding) is not int or padding < 0:
        raise UserError(f"the padding of an augmentation must be a number of pixels, 0 or more, not {padding!r}")
    padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * padding + 1)

    def cut(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(cut)(padded, corners)


def _mirrored(images: Array, key: Array) -> Array:
    mirrored = jax.random.bernoulli(key, 0.5, (len(images), 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


# Settings beyond batch and key have defaults.
AUGMENTATIONS: Mapping[str, Callable[..., Mapping[str, Array]] | None] = {
    "none": None,
    "crop": crop,
    "crop_flip": crop_flip,
    "crop_erase": crop_erase,
    "crop_flip_erase": crop_flip_erase,
}


def make_augmentation(name: str, options: Mapping[str, Any]) -> Callable[..., Mapping[str, Array]] | None:
    """An augmentation with its settings; without one, None.

    Args:
      name: in `AUGMENTATIONS`.
      options: settings; those of `erasing.erase` for an augmentation that erases.

    Raises:
      UserError: for a setting that the augmentation does not have.
    """
    augment = AUGMENTATIONS[name]
    if augment is None:
        return None
    known = dict(inspect.signature(augment).parameters)
    if known.pop("erasing", None) is not None:
        known |= inspect.signature(erase).parameters
    known = sorted(set(known) - {"batch", "images", "key"})
    for option in options:
        if option not in known:
            raise unknown(f"option of the augmentation '{name}'", option, known)
    return functools.partial(augment, **options)
