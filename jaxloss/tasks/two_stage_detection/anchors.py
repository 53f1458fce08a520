"""The boxes that a network begins from: of a few proportions and sizes, around every location of a pyramid."""

from collections.abc import Sequence

import numpy as np

from jaxloss.tasks.detection.locations import Locations


def make_anchors(locations: Locations, scales: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """Anchors float32 `[A, 4]` in pixels, `A = L len(scales) len(ratios)`; they may reach out of the image.

    Location by location; those of a location one scale after the other, each with all ratios.

    Args:
      locations: `L` of them, whose middles are those of the anchors.
      scales: root of the area of an anchor, in strides of its level.
      ratios: height over width.

    References:
      S. Ren et al.: Faster R-CNN, NIPS 2015, Section 3.1; one scale for each level as T.-Y. Lin et al., CVPR 2017, Section 4.1.
    """
    roots = np.sqrt(np.asarray(ratios, np.float64))
    sizes = np.asarray(scales, np.float64)[:, None, None] * np.stack([1 / roots, roots], axis=-1)  # [scales, ratios, 2]
    halves = locations.strides[:, None, None] * sizes.reshape(-1, 2) / 2  # [L, anchors of a location, 2]
    middles = locations.points[:, None]
    return np.concatenate([middles - halves, middles + halves], axis=-1).reshape(-1, 4).astype(np.float32)
