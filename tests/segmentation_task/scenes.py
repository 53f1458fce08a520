"""A tiny data set: a bright disc (class 1) and a dark bar (class 2) on grey ground (class 0), with void in each mask."""

import numpy as np

from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.segmentation.settings import SegmentationSettings
from jaxloss.tasks.segmentation.task import make_segmentation

SIZE = (24, 32)
CLASSES = ("ground", "disc", "bar")
FILE = "scenes.npz"


def scenes(count=12, seed=0):
    """Images uint8 `[count, 24, 32, 3]` and masks uint8 `[count, 24, 32]`."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    masks = np.zeros((count, *SIZE), np.uint8)
    for mask in masks:
        centre = random.uniform((8, 8), (16, 24))
        left, radius = random.integers(0, 27), random.uniform(4, 7)
        mask[:, left : left + 4] = 2
        mask[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2] = 1
    shades = np.array([110, 200, 40])[masks][..., None] + np.array([0, 15, -15])
    images = np.clip(shades + random.normal(0, 20, (*masks.shape, 3)), 0, 255).astype(np.uint8)
    masks[:, -3:] = 255
    return images, masks


def write(folder, count=12, **changed):
    """The data set as an archive; `changed` arrays take the place of those that are made."""
    images, masks = scenes(count)
    arrays = {"images": images, "labels": masks, "class_names": np.array(CLASSES), **changed}
    np.savez(folder / FILE, **arrays)
    return folder


def make(folder, **options):
    """The task on it, with a tiny network; a gain of 0.2 is enough for its rejection problem."""
    settings = {
        "source": f"npz:{FILE}",
        "fractions": (0.5, 0.25, 0.25),
        "model_options": {"features": (6,)},
        "pixel_mean": 0.45,
        "pixel_deviation": 0.2,
        "trimap_width": 1,
        "tolerance": 1,
        "evaluation_batch": 2,
        **options,
    }
    context = TaskContext(data_dir=str(folder), batch_size=4, **settings.pop("context", {}))
    return make_segmentation(SegmentationSettings(**settings), context)
