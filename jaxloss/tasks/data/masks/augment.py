"""Random changes of images and masks together, inside jit: scale, crop, mirror image."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.types import Array
from jaxloss.tasks.data.masks.frame import padding_pixel
from jaxloss.tasks.data.masks.pairs import IMAGE, MASK
from jaxloss.tasks.data.masks.source import VOID

Batch = Mapping[str, Array]


def flip(batch: Batch, key: Array) -> Batch:
    """Half of the images are mirrored left to right, with their masks.

    Args:
      batch: `image` `[N, H, W, C]` and `mask` `[N, H, W]`; what else it holds stays.
      key: one key for the whole batch.
    """
    mirrored = jax.random.bernoulli(key, 0.5, (len(batch[MASK]), 1, 1))
    image, mask = batch[IMAGE], batch[MASK]
    image = jnp.where(mirrored[..., None], image[:, :, ::-1], image)
    return {**batch, IMAGE: image, MASK: jnp.where(mirrored, mask[:, :, ::-1], mask)}


def scale_crop_flip(
    batch: Batch,
    key: Array,
    crop_size: tuple[int, int],
    scales: tuple[float, float] = (0.5, 2.0),
    pixel: float | Sequence[float] = 0.0,
    mirror: bool = True,
) -> Batch:
    """`scale_crop_flip_one` for every image of a batch, each with a key of its own.

    Args:
      batch: `image` uint8 or float `[N, H, W, C]` and `mask` integer `[N, H, W]`; what else it holds stays.
      key: one key for the whole batch.
      crop_size: see `scale_crop_flip_one`, as the rest.
      scales: of the image.
      pixel: of the padding.
      mirror: whether every second image is mirrored.

    Returns:
      The batch with `image` `[N, h, w, C]` and `mask` `[N, h, w]`, `(h, w)` being the crop size.
    """
    change = functools.partial(scale_crop_flip_one, crop_size=crop_size, scales=scales, pixel=pixel, mirror=mirror)
    image, mask = jax.vmap(change)(batch[IMAGE], batch[MASK], jax.random.split(key, len(batch[MASK])))
    return {**batch, IMAGE: image, MASK: mask}


def scale_crop_flip_one(
    image: Array,
    mask: Array,
    key: Array,
    crop_size: tuple[int, int],
    scales: tuple[float, float] = (0.5, 2.0),
    pixel: float | Sequence[float] = 0.0,
    mirror: bool = True,
) -> tuple[Array, Array]:
    """Scales an image with its mask by a random factor, mirrors both with probability 1/2, and cuts a random window out.

    The factor is uniform and the same for both sides, which are rounded to pixels. The image is read between its pixels
    (bilinear, at reduction too, as is common in training), the mask at the nearest one. Every window inside the scaled image is
    equally likely; where the scaled image is smaller than the window, the window begins at its upper left, and the rest is void.

    Rows are gathered first, then columns: on two CPU cores that takes a fourth of the time of `map_coordinates` or of
    `scale_and_translate`, which multiplies with a matrix for each side.

    Args:
      image: uint8 (rounded again) or float `[H, W, C]`.
      mask: integers `[H, W]`.
      key: what is drawn depends on nothing else.
      crop_size: (height, width) of the window in pixels (static).
      scales: the smallest and the largest factor.
      pixel: of the padding, on the scale of 0 to 1, one number or one for each of three channels.
      mirror: whether every second image is mirrored.

    Returns:
      The image `[h, w, C]` and the mask `[h, w]`, of the same dtypes.

    Raises:
      UserError: for settings out of range.

    References:
      L.-C. Chen et al.: Rethinking Atrous Convolution for Semantic Image Segmentation, 2017, section 4.1 (0.5 to 2,
        and mirrored).
    """
    _check(crop_size, scales)
    draws = jax.random.uniform(key, (4,))
    sides, window = jnp.array(mask.shape), jnp.array(crop_size)
    scaled = jnp.maximum(jnp.round(sides * (scales[0] + (scales[1] - scales[0]) * draws[0])), 1).astype(jnp.int32)
    corner = jnp.floor(draws[1:3] * (jnp.maximum(scaled - window, 0) + 1)).astype(jnp.int32)
    rows, columns = (corner[axis] + jnp.arange(crop_size[axis]) for axis in range(2))
    inside = (rows < scaled[0])[:, None] & (columns < scaled[1])[None, :]
    if mirror:
        columns = jnp.where(draws[3] < 0.5, scaled[1] - 1 - columns, columns)
    # Pixels are areas: the middle of pixel i lies at i + 1/2 on either scale.
    changed, nearest = image, []
    for axis, (at, side, length) in enumerate(zip((rows, columns), mask.shape, scaled, strict=True)):
        changed = _between(changed, (at + 0.5) * (side / length) - 0.5, axis)
        # In whole numbers: where two pixels are equally near, every device takes the same.
        nearest.append(jnp.clip((2 * at + 1) * side // (2 * length), 0, side - 1))
    if jnp.issubdtype(image.dtype, jnp.integer):
        changed = jnp.round(changed)
        fill = jnp.asarray(padding_pixel(pixel), image.dtype)
    else:
        fill = jnp.asarray(pixel, image.dtype)
    changed_mask = jnp.where(inside, mask[nearest[0]][:, nearest[1]], jnp.asarray(VOID, mask.dtype))
    return jnp.where(inside[..., None], changed.astype(image.dtype), fill), changed_mask


def _between(image: Array, places: Array, axis: int) -> Array:
    """The image at places between its pixels along one axis; the outermost pixels reach beyond the border."""
    last = image.shape[axis] - 1
    places = jnp.clip(places, 0, last)
    before = jnp.floor(places).astype(jnp.int32)
    share = jnp.expand_dims(places - before, tuple(other for other in range(image.ndim) if other != axis))
    first, second = (jnp.take(image, at, axis=axis, mode="clip") for at in (before, jnp.minimum(before + 1, last)))
    return first * (1 - share) + second * share


def _check(crop_size: Any, scales: Any) -> None:
    if len(crop_size) != 2 or not all(isinstance(side, int) and side > 0 for side in crop_size):
        raise UserError(f"crop_size must be (height, width) in pixels, not {crop_size}")
    if len(scales) != 2 or not 0 < scales[0] <= scales[1]:
        raise UserError(f"scales must be the smallest and the largest factor, such as (0.5, 2.0), not {scales}")


# Settings beyond batch and key.
MASK_AUGMENTATIONS: Mapping[str, Callable[..., Batch] | None] = {
    "none": None,
    "flip": flip,
    "scale_crop_flip": scale_crop_flip,
}


def make_mask_augmentation(name: str, options: Mapping[str, Any]) -> Callable[[Batch, Array], Batch] | None:
    """An augmentation with its settings; without one, None.

    Args:
      name: in `MASK_AUGMENTATIONS`.
      options: its settings; `scale_crop_flip` needs a `crop_size`.

    Raises:
      UserError: for an unknown name, for a setting that the augmentation does not have, and for one that is missing.
    """
    if name not in MASK_AUGMENTATIONS:
        raise unknown("augmentation", name, MASK_AUGMENTATIONS)
    augment = MASK_AUGMENTATIONS[name]
    if augment is None:
        return None
    parameters = {key: one for key, one in inspect.signature(augment).parameters.items() if key not in ("batch", "key")}
    for option in options:
        if option not in parameters:
            raise unknown(f"option of the augmentation '{name}'", option, parameters)
    missing = [key for key, one in parameters.items() if one.default is inspect.Parameter.empty and key not in options]
    if missing:
        raise UserError(f"the augmentation '{name}' needs the option {missing[0]}")
    return functools.partial(augment, **options)
