"""Masks of single objects: run-length codes as COCO has them, and what is made of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as codec

# `{'size': [height, width], 'counts': bytes}`, the compressed code of COCO.
RunLengths = Mapping[str, Any]


def encoded(bitmap: np.ndarray) -> RunLengths:
    """The code of a mask bool `[H, W]`."""
    return codec.encode(np.asfortranarray(bitmap, np.uint8))


def decoded(mask: RunLengths) -> np.ndarray:
    """The mask of a code, bool `[H, W]`."""
    return codec.decode(dict(mask)).astype(bool)


def num_pixels(mask: RunLengths) -> int:
    """How many pixels a mask has."""
    return int(codec.area(dict(mask)))


def in_box(mask: RunLengths, box: np.ndarray, side: int) -> np.ndarray:
    """What a box shows of a mask, bool `[side, side]`: at the middle of each of so many equal cells the nearest pixel.

    Args:
      mask: of an image.
      box: left, top, right, bottom, in pixels of the image, with an area.
      side: cells along each side of the box.

    References:
      The authors' code of TPU Mask R-CNN keeps masks of training in this form (112 cells), which has one size for all objects.
    """
    bitmap = decoded(mask)
    height, width = bitmap.shape
    middles = (np.arange(side) + 0.5) / side
    rows = np.clip(np.floor(box[1] + (box[3] - box[1]) * middles).astype(int), 0, height - 1)
    columns = np.clip(np.floor(box[0] + (box[2] - box[0]) * middles).astype(int), 0, width - 1)
    return bitmap[np.ix_(rows, columns)]


def in_frame(mask: RunLengths, inner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """A mask in an image that was scaled and padded, bool `[H, W]`; the nearest pixel of the mask is taken.

    Args:
      mask: of the image as it was.
      inner: (height, width) that it was scaled to.
      size: (height, width) with the padding at the bottom and at the right.
    """
    bitmap = decoded(mask)
    framed = np.zeros(size, bool)
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for new, old in zip(inner, bitmap.shape, strict=True)
    )
    framed[: inner[0], : inner[1]] = bitmap[np.ix_(rows, columns)]
    return framed
