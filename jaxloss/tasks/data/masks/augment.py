"""Random changes of images and masks together, inside jit: scale, crop, mirror image."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array
from jaxloss.tasks.data.augmentations import make_augmentation
from jaxloss.tasks.data.masks.pairs import IMAGE, MASK
from jaxloss.tasks.data.masks.source import VOID
from jaxloss.tasks.data.random_window import cut_image, draw_window

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
    window = draw_window(key, mask.shape, crop_size, scales, mirror)
    # In whole numbers: where two pixels are equally near, every device takes the same.
    nearest = [
        jnp.clip((2 * at + 1) * side // (2 * length), 0, side - 1)
        for at, side, length in zip((window.rows, window.columns), mask.shape, window.scaled, strict=True)
    ]
    changed_mask = jnp.where(window.inside, mask[nearest[0]][:, nearest[1]], jnp.asarray(VOID, mask.dtype))
    return cut_image(image, window, pixel), changed_mask


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
    return make_augmentation(MASK_AUGMENTATIONS, name, options)
