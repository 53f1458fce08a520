"""A tiny data set: three dots of different shades on noisy ground, and a fourth that is not always there."""

import numpy as np

from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.pose.settings import PoseSettings
from jaxloss.tasks.pose.task import make_pose

SIZE = (32, 40)
NAMES = ("left_hand", "right_hand", "head", "tail")
FILE = "puppets.npz"
TINY = {"features": (6, 8, 8)}
SHADES = (20, 80, 190, 250)


def puppets(count=24, seed=0):
    """Images uint8 `[count, 32, 40]`, keypoints `[count, 4, 2]`, whether they are visible; nobody is in the first image."""
    random = np.random.default_rng(seed)
    images = random.normal(130, 5, (count, *SIZE))
    keypoints = random.uniform((3, 3), (SIZE[1] - 4, SIZE[0] - 4), (count, len(NAMES), 2)).round(1)
    visible = random.uniform(size=(count, len(NAMES))) < (1, 1, 1, 0.6)
    visible[0] = False
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for row, k in zip(*np.nonzero(visible), strict=True):
        images[row][np.hypot(x - keypoints[row, k, 0], y - keypoints[row, k, 1]) < 3] = SHADES[k]
    keypoints[~visible] = 0
    return np.clip(images, 0, 255).astype(np.uint8), keypoints.astype(np.float32), visible


def write(folder, count=24, **changed):
    """The data set as an archive; `changed` arrays take the place of those that are made, None leaves one out."""
    images, keypoints, visible = puppets(count)
    arrays = {"images": images, "keypoints_xy": keypoints, "visible": visible, "keypoint_names": np.array(NAMES)}
    np.savez(folder / FILE, **{name: array for name, array in {**arrays, **changed}.items() if array is not None})
    return folder


def make(folder, **options):
    """The task on it, with a tiny network."""
    settings = {
        "source": f"npz:{FILE}",
        "fractions": (0.5, 0.25, 0.25),
        "model_options": TINY,
        "sigma": 1.0,
        "centre": "exact",
        "pck_share": 0.2,
        "metric": "pck",
        "pixel_mean": 0.5,
        "pixel_deviation": 0.1,
        "evaluation_batch": 4,
        **options,
    }
    return make_pose(PoseSettings(**settings), TaskContext(data_dir=str(folder), batch_size=4))
