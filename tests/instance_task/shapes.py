"""A tiny data set of shapes: bright discs (class 1) and dark triangles (class 0) on grey ground, by the pixel."""

import numpy as np

from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.instance_segmentation.settings import InstanceSegmentationSettings
from jaxloss.tasks.instance_segmentation.task import make_instance_segmentation

SIZE = (32, 40)
CLASSES = ("triangle", "disc")
FILE = "shapes.npz"
BRANCHES = ("rpn_classification", "rpn_regression", "rcnn_classification", "rcnn_regression", "mask")
WEIGHTS = dict.fromkeys(BRANCHES, 1.0)
AREAS = ("intersection", "union", "enclosing")
TINY = {
    "features": (6, 8, 8), "num_levels": 2, "channels": 8, "head_width": 16, "region_size": 3,
    "mask_channels": 8, "mask_region_size": 14,
}  # fmt: skip
SETTINGS = {
    "source": f"npz:{FILE}",
    "model_options": TINY,
    "anchor_scales": (2.5,),
    "rpn_samples": 12,
    "proposal_candidates": 12,
    "num_proposals": 10,
    "rcnn_samples": 12,
    "mask_resolution": 16,
    "pixel_mean": 0.45,
    "pixel_deviation": 0.25,
}


def shape(label, top, left, side):
    """Where an object of a class is, bool `[32, 40]`: a disc, or a triangle with its right angle at the lower left."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    down, across = rows - top + 0.5, columns - left + 0.5
    box = (down > 0) & (down < side) & (across > 0) & (across < side)
    if label:
        return box & ((down - side / 2) ** 2 + (across - side / 2) ** 2 <= (side / 2) ** 2)
    return box & (across <= down)


def shapes(count=16, seed=0):
    """Images uint8 `[count, 32, 40, 3]`, and for each object: its mask, its image, its class, whether it is a crowd.

    The first image has no object; objects of an image do not touch each other.
    """
    random = np.random.default_rng(seed)
    images = random.normal(120, 10, (count, *SIZE, 3))
    masks, rows, labels, crowd = [], [], [], []
    for row in range(1, count):
        taken = np.zeros(SIZE, bool)
        for _ in range(random.integers(1, 4)):
            label, side = int(random.integers(2)), int(random.integers(9, 14))
            mask = shape(label, random.integers(0, SIZE[0] - side), random.integers(0, SIZE[1] - side), side)
            if (mask & taken).any():
                continue
            taken |= mask
            images[row][mask] = (30, 220)[label]
            masks.append(mask)
            rows.append(row)
            labels.append(label)
            crowd.append(row == 2 and not any(crowd) and len(labels) > 1 and rows.count(2) > 1)
    arrays = np.array(rows, np.int32), np.array(labels), np.array(crowd)
    return np.clip(images, 0, 255).astype(np.uint8), np.array(masks), *arrays


def box_of(mask):
    """Left, top, width, height."""
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def archive(count=16):
    """The data set as the arrays of a map of segments."""
    images, masks, rows, labels, crowd = shapes(count)
    maps, segments = np.zeros(images.shape[:3], np.uint8), []
    for mask, row, label, is_crowd in zip(masks, rows, labels, crowd, strict=True):
        number = maps[row].max() + 1
        maps[row][mask] = number
        segments.append((row, number, label + 1, 1, is_crowd, *box_of(mask)))
    return {
        "images": images,
        "segment_map": maps,
        "segments": np.array(segments, np.int32),
        # The first is no thing.
        "category_names": np.array(["ground", *CLASSES]),
    }


def write(folder, count=16, **changed):
    """The data set as an archive; `changed` arrays take the place of those that are made, None leaves one out."""
    arrays = {**archive(count), **changed}
    np.savez(folder / FILE, **{name: array for name, array in arrays.items() if array is not None})
    return folder


def make(folder, **options):
    """The task on it, with a tiny network; a gain of 0.2 is enough for its rejection problems."""
    settings = {"fractions": (0.5, 0.25, 0.25), "evaluation_batch": 3, "minimum_score": 0.02, **SETTINGS, **options}
    context = {"rejection_minimum_gain": 0.2, **settings.pop("context", {})}
    return make_instance_segmentation(
        InstanceSegmentationSettings(**settings), TaskContext(data_dir=str(folder), batch_size=4, **context)
    )


def loss_text(classes, boxes, mask):
    """The same losses in both stages, and one of masks."""
    parts = {name: boxes if "regression" in name else classes for name in BRANCHES}
    return " | ".join(f"{name}: {part}" for name, part in {**parts, "mask": mask}.items())
