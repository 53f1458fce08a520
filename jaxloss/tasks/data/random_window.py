"""A random window of an image that is scaled and mirrored at random, inside jit: what is common to masks and boxes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.data.masks.frame import padding_pixel


class Window(NamedTuple):
    """What is cut out of an image.

    Attributes:
      scaled: int32 `[2]`, (height, width) of the image once it is scaled.
      corner: int32 `[2]`, row and column of the scaled image where the window begins.
      rows: int32 `[h]`, rows of the scaled image; beyond its end the window is padding.
      columns: int32 `[w]`, its columns, from right to left where the image is mirrored.
      inside: bool `[h, w]`, where the window is no padding.
      mirrored: bool, whether the scaled image is mirrored, left to right, before the window is cut out.
    """

    scaled: Array
    corner: Array
    rows: Array
    columns: Array
    inside: Array
    mirrored: Array


def draw_window(
    key: Array, size: tuple[int, int], crop_size: tuple[int, int], scales: tuple[float, float], mirror: bool
) -> Window:
    """Draws scale, place and mirror image.

    The factor is uniform and the same for both sides, which are rounded to pixels. Every window inside the scaled image is
    equally likely; where the scaled image is smaller than the window, the window begins at its upper left.

    Args:
      key: what is drawn depends on nothing else.
      size: (height, width) of the image (static).
      crop_size: (height, width) of the window in pixels (static).
      scales: the smallest and the largest factor.
      mirror: whether every second image is mirrored.

    Raises:
      UserError: for settings out of range.
    """
    check_window(crop_size, scales)
    draws = jax.random.uniform(key, (4,))
    sides, window = jnp.array(size), jnp.array(crop_size)
    scaled = jnp.maximum(jnp.round(sides * (scales[0] + (scales[1] - scales[0]) * draws[0])), 1).astype(jnp.int32)
    corner = jnp.floor(draws[1:3] * (jnp.maximum(scaled - window, 0) + 1)).astype(jnp.int32)
    rows, columns = (corner[axis] + jnp.arange(crop_size[axis]) for axis in range(2))
    inside = (rows < scaled[0])[:, None] & (columns < scaled[1])[None, :]
    mirrored = (draws[3] < 0.5) if mirror else jnp.zeros((), bool)
    if mirror:
        columns = jnp.where(mirrored, scaled[1] - 1 - columns, columns)
    return Window(scaled, corner, rows, columns, inside, mirrored)


def cut_image(image: Array, window: Window, pixel: float | Sequence[float]) -> Array:
    """The window of an image, read between its pixels (bilinear, at reduction too, as is common in training).

    Rows are gathered first, then columns: on two CPU cores that takes a fourth of the time of `map_coordinates` or of
    `scale_and_translate`, which multiplies with a matrix for each side.

    Args:
      image: uint8 (rounded again) or float `[H, W, C]`.
      window: of images of this size.
      pixel: of the padding, on the scale of 0 to 1, one number or one for each of three channels.

    Returns:
      `[h, w, C]` of the same dtype.
    """
    # Pixels are areas: the middle of pixel i lies at i + 1/2 on either scale.
    changed = image
    for axis, (at, side, length) in enumerate(zip((window.rows, window.columns), image.shape, window.scaled, strict=False)):
        changed = _between(changed, (at + 0.5) * (side / length) - 0.5, axis)
    if jnp.issubdtype(image.dtype, jnp.integer):
        changed = jnp.round(changed)
        fill = jnp.asarray(padding_pixel(pixel), image.dtype)
    else:
        fill = jnp.asarray(pixel, image.dtype)
    return jnp.where(window.inside[..., None], changed.astype(image.dtype), fill)


def check_window(crop_size: Any, scales: Any) -> None:
    """Looks at the settings of a window.

    Raises:
      UserError: a size is none, or factors are not above 0 and rising.
    """
    if len(crop_size) != 2 or not all(isinstance(side, int) and side > 0 for side in crop_size):
        raise UserError(f"crop_size must be (height, width) in pixels, not {crop_size}")
    if len(scales) != 2 or not 0 < scales[0] <= scales[1]:
        raise UserError(f"scales must be the smallest and the largest factor, such as (0.5, 2.0), not {scales}")


def _between(image: Array, places: Array, axis: int) -> Array:
    """The image at places between its pixels along one axis; the outermost pixels reach beyond the border."""
    last = image.shape[axis] - 1
    places = jnp.clip(places, 0, last)
    before = jnp.floor(places).astype(jnp.int32)
    share = jnp.expand_dims(places - before, tuple(other for other in range(image.ndim) if other != axis))
    first, second = (jnp.take(image, at, axis=axis, mode="clip") for at in (before, jnp.minimum(before + 1, last)))
    return first * (1 - share) + second * share
