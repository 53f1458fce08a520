"""Images brought to the size that networks see, and keypoints with them: stretched whole, or cut out around a subject."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image

from jaxloss.tasks.data.keypoints.source import Example, Pose

# By how much the box of a subject is enlarged (Xiao et al., ECCV 2018, and their code).
ENLARGED = 1.25


def stretched(image: np.ndarray, pose: Pose, size: tuple[int, int] | None) -> Example:
    """The whole image, uint8 `[H, W, 3]`, in another (height, width); None leaves it as it is."""
    height, width = image.shape[:2]
    if size is None or (height, width) == tuple(size):
        return Example(image, pose, np.ones(2, np.float32), np.zeros(2, np.float32))
    resized = np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))
    return _moved(resized, pose, np.zeros(2), np.array([width / size[1], height / size[0]]))


def cut_out(image: np.ndarray, pose: Pose, box: Sequence[float], size: tuple[int, int]) -> Example:
    """The box of a subject, enlarged by a quarter to the proportions of the size; what lies beyond the image is black.

    Args:
      image: uint8 `[H, W, 3]`.
      pose: in its pixels.
      box: left, top, width and height in pixels, counted from the edge of the image.
      size: (height, width).

    References:
      B. Xiao, H. Wu, Y. Wei: Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018, Section 4.1.
    """
    left, top, width, height = box
    centre = np.array([left + width / 2, top + height / 2])
    # Pixels of the image for one of the cut-out, the same along both axes.
    step = ENLARGED * max(width / size[1], height / size[0])
    corner = centre - step * np.array([size[1], size[0]]) / 2
    affine = (step, 0, corner[0], 0, step, corner[1])
    cut = Image.fromarray(image).transform((size[1], size[0]), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    return _moved(np.asarray(cut), pose, corner, np.array([step, step]))


def _moved(image: np.ndarray, pose: Pose, corner: np.ndarray, scale: np.ndarray) -> Example:
    """Of an image whose upper left corner lies at `corner` of the one before, and whose pixels are `scale` of that one's."""
    # Coordinates are counted from the middle of the first pixel, half a pixel from the corner.
    origin = corner + scale / 2 - 0.5
    keypoints = np.where(pose.visible[:, None], (pose.keypoints - origin) / scale, 0).astype(np.float32)
    return Example(image, dataclasses.replace(pose, keypoints=keypoints), scale.astype(np.float32), origin.astype(np.float32))
