"""RoIAlign: the features of boxes, cut out of a pyramid of maps and brought to one size."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.boxes import area
from jaxloss.core.types import Array

# Sides of a box on the level that it belongs to, in strides, at the least: 224 pixels at stride 16.
CANONICAL_CELLS = 14.0


def levels_of(boxes: Array, strides: Sequence[int], canonical_cells: float = CANONICAL_CELLS) -> Array:
    """The levels that boxes are cut out of, int32 `[...]`: the coarsest on which a box is so many strides wide.

    `floor(log2(sqrt(w h) / (canonical_cells s)))` levels beyond the finest, whose stride is s, and at least that.

    Args:
      boxes: `[..., 4]` in pixels.
      strides: of the levels, each twice the one before.
      canonical_cells: root of the area of a box that just reaches a level, in its strides; 14 is 224 pixels at stride 16.

    References:
      T.-Y. Lin et al.: Feature Pyramid Networks for Object Detection, CVPR 2017, Eq. 1.
    """
    side = jnp.sqrt(jnp.maximum(area(boxes), 1e-6)) / (canonical_cells * strides[0])
    # A box just at the limit is on the coarser level, whatever is lost in the logarithm.
    return jnp.clip(jnp.floor(jnp.log2(side) + 1e-5), 0, len(strides) - 1).astype(jnp.int32)


def roi_align(
    pyramid: Sequence[Array],
    strides: Sequence[int],
    boxes: Array,
    valid: Array,
    size: int,
    sampling_ratio: int = 2,
    canonical_cells: float = CANONICAL_CELLS,
) -> Array:
    """Features of boxes, `[N, R, size, size, C]`.

    Each of `size x size` equal bins is the mean over `sampling_ratio x sampling_ratio` points, spread evenly, of the map's value
    there by bilinear interpolation. The value of a cell stands in its middle. Outside, a point has the value of the border up to
    half a cell away, and 0 beyond. There is no gradient to the boxes' levels, and one to their sides.

    All four corners of all points are gathered at once from the levels, one behind the other: on one CPU core that takes as long
    as two matrix products a box where maps are small (24 x 32, 48 channels), and a fifteenth of it where they are large
    (200 x 336, 64 channels).

    Args:
      pyramid: a map of each level, `[N, h, w, C]`, the finest first.
      strides: of the levels, in pixels.
      boxes: float `[N, R, 4]`, left, top, right and bottom in pixels; they may reach out of the image, or have no area.
      valid: bool `[N, R]`, False for padding, whose features are 0.
      size: bins along each side.
      sampling_ratio: points along each side of a bin.
      canonical_cells: see `levels_of`.

    References:
      K. He et al.: Mask R-CNN, ICCV 2017, Section 3; the half-pixel convention is that of Detectron2 and of torchvision's
      `aligned=True`.
    """
    levels = levels_of(boxes, strides, canonical_cells)
    shapes = [one.shape[1:3] for one in pyramid]
    starts = np.cumsum([0] + [math.prod(shape) for shape in shapes])[:-1]
    height, width, start = (jnp.asarray(values)[levels] for values in (*zip(*shapes, strict=True), starts))
    stride = jnp.asarray(strides, boxes.dtype)[levels][..., None]
    fractions = (jnp.arange(size * sampling_ratio) + 0.5) / (size * sampling_ratio)

    def along(low: Array, high: Array, cells: Array) -> tuple[Array, Array]:
        """Numbers of the two cells around each point, and their weights, `[N, R, points, 2]`."""
        points = (low[..., None] + (high - low)[..., None] * fractions) / stride - 0.5
        cells = cells[..., None]
        inside = (points >= -1) & (points <= cells) & valid[..., None]
        points = jnp.clip(points, 0, cells - 1)
        first = jnp.floor(points).astype(jnp.int32)
        share = points - first
        weights = jnp.stack([1 - share, share], axis=-1) * inside[..., None] / sampling_ratio
        return jnp.stack([first, jnp.minimum(first + 1, cells - 1)], axis=-1), weights

    rows, row_weights = along(boxes[..., 1], boxes[..., 3], height)
    columns, column_weights = along(boxes[..., 0], boxes[..., 2], width)
    places = start[..., None, None, None, None] + rows[..., None, None] * width[..., None, None, None, None]
    places = places + columns[..., None, None, :, :]  # [N, R, points, 2, points, 2]
    flat = jnp.concatenate([one.reshape(len(one), -1, one.shape[-1]) for one in pyramid], axis=1)
    corners = jax.vmap(lambda maps, own: maps[own])(flat, places)
    weights = row_weights[..., None, None] * column_weights[..., None, None, :, :]
    bins = (*boxes.shape[:2], size, 2 * sampling_ratio, size, 2 * sampling_ratio)
    weighted = corners.reshape(*bins, -1) * weights.reshape(*bins, 1).astype(corners.dtype)
    return jnp.sum(weighted, axis=(3, 5))
