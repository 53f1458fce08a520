"""A tiny data set: bright squares (class 1) and dark bars (class 0) on grey ground; an image without boxes, and a crowd."""

import numpy as np

from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.detection.settings import DetectionSettings
from jaxloss.tasks.detection.task import make_detection

SIZE = (32, 40)
CLASSES = ("bar", "square")
FILE = "cells.npz"
TINY = {"features": (6, 8, 8), "num_levels": 2, "channels": 8}


def cells(count=16, seed=0):
    """Images uint8 `[count, 32, 40, 3]`, and for each box: itself, its image, its class, whether it is a crowd."""
    random = np.random.default_rng(seed)
    images = random.normal(120, 10, (count, *SIZE, 3))
    boxes, rows, labels, crowd = [], [], [], []
    for row in range(1, count):  # the first image has none
        for _ in range(random.integers(1, 4)):
            label = int(random.integers(2))
            height, width = ((5, 16), (10, 10))[label]
            top, left = random.integers(0, SIZE[0] - height), random.integers(0, SIZE[1] - width)
            images[row, top : top + height, left : left + width] = (30, 220)[label]
            boxes.append((left, top, left + width, top + height))
            rows.append(row)
            labels.append(label)
            crowd.append(False)
    boxes.append((0, 0, 20, 12))
    rows.append(2)
    labels.append(1)
    crowd.append(True)
    arrays = np.array(boxes, np.float32), np.array(rows, np.int32), np.array(labels), np.array(crowd)
    return np.clip(images, 0, 255).astype(np.uint8), *arrays


def write(folder, count=16, **changed):
    """The data set as an archive; `changed` arrays take the place of those that are made, None leaves one out."""
    images, boxes, rows, labels, crowd = cells(count)
    arrays = {
        "images": images,
        "boxes_xyxy": boxes,
        "box_image": rows,
        "box_label": labels,
        "box_crowd": crowd,
        "class_names": np.array(CLASSES),
    }
    np.savez(folder / FILE, **{name: array for name, array in {**arrays, **changed}.items() if array is not None})
    return folder


def make(folder, **options):
    """The task on it, with a tiny network; a gain of 0.2 is enough for its rejection problems."""
    settings = {
        "source": f"npz:{FILE}",
        "fractions": (0.5, 0.25, 0.25),
        "model_options": TINY,
        "size_limits": (9.0,),
        "pixel_mean": 0.45,
        "pixel_deviation": 0.25,
        "evaluation_batch": 3,
        "minimum_score": 0.02,
        "rejection_locations": 12,
        **options,
    }
    context = {"rejection_minimum_gain": 0.2, **settings.pop("context", {})}
    return make_detection(DetectionSettings(**settings), TaskContext(data_dir=str(folder), batch_size=4, **context))
