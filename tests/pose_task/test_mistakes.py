"""Mistakes in the settings of the pose task are one line."""

from pathlib import Path

import numpy as np
import pytest

from jaxloss import launch
from tests.errors import user_error
from tests.pose_task import puppets
from tests.pose_task.puppets import TINY, make

MOUSE = Path(__file__).parents[2] / "configs" / "autoloss_zero_mouse_pose.py"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "map"}, "unknown task.pose.metric 'map'"),
        ({"centre": "round"}, "Did you mean 'rounded'"),
        ({"source": "npz:nowhere.npz"}, "nowhere.npz"),
        ({"image_size": (8, 40)}, "LightPose needs images of at least 9 x 9 pixels, not 8 x 40"),
        ({"model": "light_post"}, "Did you mean 'light_pose'"),
        ({"model_options": {"feature": (8,)}}, "Did you mean 'features'"),
        ({"model_options": {**TINY, "output_stride": 3}}, "the output_stride of LightPose is one of 2, 4, 8, not 3"),
        ({"model_options": {"dtype": "bfloat16"}}, "what the network computes in is task.pose.precision"),
        ({"fractions": (0.8, 0.2, 0.0)}, "split 'test' would be empty"),
        ({"sigma": 0.0}, "sigma must be at least 0.1"),
        ({"oks_constants": "coco"}, "oks_constants=coco are of 17 keypoints, and npz:puppets.npz has 4"),
        ({"oks_sigmas": (0.1, 0.2)}, "oks_sigmas takes one number, or one for each of 4 keypoints, not 2"),
        ({"oks_sigmas": 0.0}, "task.pose.oks_sigmas must be above 0"),
        ({"oks_area": "annotated"}, "oks_area=annotated needs areas, and npz:puppets.npz has none"),
        ({"augmentation": "flip", "flip_pairs": {"left_hand": "righthand"}}, "Did you mean 'right_hand'"),
    ],
)
def test_mistakes_are_one_line(folder, options, message):
    with user_error(message):
        make(folder, **options)


def test_images_without_a_visible_keypoint_are_refused(tmp_path):
    _, _, visible = puppets.puppets(8)
    puppets.write(tmp_path, 8, visible=np.zeros_like(visible))
    with user_error("npz:puppets.npz: no keypoint of the training images is visible"):
        make(tmp_path)


def test_a_run_on_broken_data_ends_with_one_line_and_exit_code_2(tmp_path, capsys):
    _, keypoints, visible = puppets.puppets(6)
    keypoints[visible] += 100
    puppets.write(tmp_path, 6, keypoints_xy=keypoints)
    arguments = {
        "config": MOUSE,
        "workdir": tmp_path / "run",
        "config.data_dir": tmp_path,
        "config.task.pose.source": f"npz:{puppets.FILE}",
    }
    assert launch.main([f"--{name}={value}" for name, value in arguments.items()]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "marked as visible and lies outside of its image" in line
    assert not (tmp_path / "run").exists()
