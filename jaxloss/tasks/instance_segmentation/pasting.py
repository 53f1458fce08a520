"""Masks of boxes put into their image, on the host."""

import numpy as np

# Probability from which on a pixel belongs to the object.
THRESHOLD = 0.5


def paste(mask: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask of an object in its image, bool `[H, W]`.

    Each pixel has the probability at its middle, by bilinear interpolation between the middles of the cells, and 0 outside of the
    box from half a cell on. A box without an area has no pixel.

    Args:
      mask: probabilities float `[m, m]` in the cells of the box.
      box: left, top, right, bottom, in pixels.
      size: (height, width) of the image.

    References:
      K. He et al.: Mask R-CNN, ICCV 2017, Section 3.1; the convention is that of Detectron2 and MMDetection.
    """
    height, width = size
    pasted = np.zeros(size, bool)
    if not (box[2] > box[0] and box[3] > box[1]):
        return pasted
    # What lies farther out than half a cell is 0.
    half = (box[2:] - box[:2]) / len(mask) / 2
    left, top = np.clip(np.floor(box[:2] - half), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(box[2:] + half), 0, (width, height)).astype(int)
    rows = _weights(np.arange(top, bottom), box[1], box[3], len(mask))
    columns = _weights(np.arange(left, right), box[0], box[2], len(mask))
    pasted[top:bottom, left:right] = rows @ mask @ columns.T >= THRESHOLD
    return pasted


def _weights(pixels: np.ndarray, low: float, high: float, cells: int) -> np.ndarray:
    """How much each cell counts at each pixel, `[pixels, cells]`."""
    places = (pixels + 0.5 - low) / (high - low) * cells - 0.5
    return np.maximum(1 - np.abs(places[:, None] - np.arange(cells)), 0)
