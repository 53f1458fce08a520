"""Random changes of images and keypoints together, inside jit."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array
from jaxloss.tasks.data.keypoints.source import IMAGE, KEYPOINTS, VISIBLE

Batch = Mapping[str, Array]
AUGMENTATIONS = NONE, FLIP, AFFINE, AFFINE_FLIP = ("none", "flip", "affine", "affine_flip")


def flip(batch: Batch, key: Array, mirrored: np.ndarray) -> Batch:
    """Half of the images are mirrored left to right; a left hand is then a right hand.

    Args:
      batch: `image` `[N, H, W, C]`, `keypoints` `[N, K, 2]` in its pixels and `visible` `[N, K]`; what else it holds stays.
      key: one key for the whole batch.
      mirrored: int `[K]`, the keypoint that each one is taken for in a mirror.
    """
    image = batch[IMAGE]
    turned = jax.random.bernoulli(key, 0.5, (len(image),))
    keypoints, visible = batch[KEYPOINTS][:, mirrored], batch[VISIBLE][:, mirrored]
    keypoints = keypoints.at[..., 0].set(image.shape[2] - 1 - keypoints[..., 0])
    return {
        **batch,
        IMAGE: jnp.where(turned[:, None, None, None], image[:, :, ::-1], image),
        KEYPOINTS: jnp.where(turned[:, None, None], keypoints, batch[KEYPOINTS]),
        VISIBLE: jnp.where(turned[:, None], visible, batch[VISIBLE]),
    }


def affine(batch: Batch, key: Array, rotation: float, scaling: float, shift: float) -> Batch:
    """Turns, scales and shifts every image about its middle, bilinearly; black comes in from outside.

    A keypoint that leaves the image is left as visible: losses leave out what lies outside of the maps.

    Args:
      batch: see `flip`.
      key: one key for the whole batch.
      rotation: the most degrees, either way.
      scaling: images become `1 - scaling` to `1 + scaling` times as large.
      shift: the most, as a share of height and width, either way.
    """
    image = batch[IMAGE]
    count, height, width = image.shape[:3]
    draws = jax.random.uniform(key, (count, 4), minval=-1.0, maxval=1.0)
    angle, factor = jnp.deg2rad(rotation) * draws[:, 0], 1 + scaling * draws[:, 1]
    moved = shift * draws[:, 2:] * jnp.array([width, height])
    cosine, sine = factor * jnp.cos(angle), factor * jnp.sin(angle)
    forth = jnp.stack([jnp.stack([cosine, -sine], axis=-1), jnp.stack([sine, cosine], axis=-1)], axis=-2)
    middle = jnp.array([(width - 1) / 2, (height - 1) / 2])
    keypoints = jnp.einsum("nij,nkj->nki", forth, batch[KEYPOINTS] - middle) + (middle + moved)[:, None]
    # Backwards: where each pixel of the new image comes from.
    places = jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1).astype(jnp.float32)
    back = jnp.swapaxes(forth, 1, 2) / (factor**2)[:, None, None]
    sources = jnp.einsum("nij,nhwj->nhwi", back, places - (middle + moved)[:, None, None]) + middle
    warped = jax.vmap(_sampled)(image.astype(jnp.float32), sources)
    if jnp.issubdtype(image.dtype, jnp.integer):
        warped = jnp.round(warped)
    return {**batch, IMAGE: warped.astype(image.dtype), KEYPOINTS: keypoints}


def _sampled(image: Array, places: Array) -> Array:
    """What an image `[H, W, C]` has at places `[h, w, 2]` (x, y), between pixels by bilinear interpolation; 0 outside."""
    height, width, channels = image.shape
    bordered = jnp.pad(image, ((1, 1), (1, 1), (0, 0))).reshape(-1, channels)
    # The border of zeros stands for all that is outside.
    places = jnp.clip(places, -1, jnp.array([width, height])) + 1
    corner = jnp.minimum(jnp.floor(places), jnp.array([width, height]))
    x, y = jnp.moveaxis(corner.astype(jnp.int32), -1, 0)
    right, below = jnp.moveaxis(places - corner, -1, 0)[..., None]
    first = y * (width + 2) + x
    upper = bordered[first] * (1 - right) + bordered[first + 1] * right
    lower = bordered[first + width + 2] * (1 - right) + bordered[first + width + 3] * right
    return upper * (1 - below) + lower * below


def make_keypoint_augmentation(
    name: str, mirrored: np.ndarray, rotation: float, scaling: float, shift: float
) -> Callable[[Batch, Array], Batch] | None:
    """The augmentation of a name in `AUGMENTATIONS`; see `flip` and `affine` for the rest."""
    turn = functools.partial(flip, mirrored=mirrored)
    move = functools.partial(affine, rotation=rotation, scaling=scaling, shift=shift)
    if name == AFFINE_FLIP:

        def both(batch: Batch, key: Array) -> Batch:
            flip_key, affine_key = jax.random.split(key)
            return move(turn(batch, flip_key), affine_key)

        return both
    return {NONE: None, FLIP: turn, AFFINE: move}[name]
