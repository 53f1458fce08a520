"""Mistakes in the settings of the detection task are one line."""

from pathlib import Path

import pytest

from jaxloss import launch
from jaxloss.spaces.check_fit import check_fit
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.box_data.layouts import changed, write_coco
from tests.detection_task.cells import TINY, make
from tests.errors import user_error

BCCD = Path(__file__).parents[2] / "configs" / "autoloss_zero_bccd.py"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "map"}, "unknown task.detection.metric 'map'"),
        ({"area_unit": "pixel"}, "Did you mean 'pixels'"),
        ({"source": "npz:nowhere.npz"}, "nowhere.npz"),
        ({"size_limits": (9.0, 20.0)}, "size_limits divide the 2 levels of the network (strides 4, 8): 1 numbers, not 2"),
        ({"size_limits": (20.0, 9.0)}, "must be numbers above 0 that rise"),
        ({"image_size": (8, 40)}, "TinyFCOS needs images of at least 9 x 9 pixels, not 8 x 40"),
        ({"model": "fcos"}, "Did you mean 'tiny_fcos'"),
        ({"model_options": {"channel": 8}}, "Did you mean 'channels'"),
        ({"model_options": {**TINY, "channels": 7}}, "task.detection.model_options do not fit"),
        ({"model_options": {"dtype": "bfloat16"}}, "what the network computes in is task.detection.precision"),
        ({"fractions": (0.8, 0.2, 0.0)}, "split 'test' would be empty"),
        ({"most_detections": 300}, "most_detections must be at most 100"),
        ({"centre_radius": -1.0}, "centre_radius must be at least 0"),
    ],
)
def test_mistakes_are_one_line(folder, options, message):
    with user_error(message):
        make(folder, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"branch_inputs": {"box": ("union",)}}, "branch_inputs names the branch 'box', which is not among space."),
        ({"branch_inputs": {"classification": "union"}}, "branch_inputs.classification takes names of arrays, not 'union'"),
        ({"branch_inputs": {"classification": ()}}, "branch_inputs.classification must name one array at least"),
        ({"branch_inputs": {"classification": ("Union",)}}, "takes words of small letters, such as prior, not 'Union'"),
    ],
)
def test_mistakes_in_the_inputs_of_a_branch_are_one_line(options, message):
    with user_error(message):
        AutoLossZeroSettings(**options)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (changed("annotations", 0, bbox=[10, 2, 9, 4]), ("boxes.json, annotation 1", "outside of its image")),
        (changed("images", 1, file_name="d.png"), ("boxes.json, images[1]", "d.png")),
        (None, ("boxes.json is no JSON",)),
    ],
)
def test_a_run_on_broken_data_ends_with_one_line_and_exit_code_2(tmp_path, capsys, content, parts):
    write_coco(tmp_path, content, text="{" if content is None else None)
    arguments = {
        "config": BCCD,
        "workdir": tmp_path / "run",
        "config.data_dir": tmp_path,
        "config.task.detection.source": "coco:boxes.json",
        "config.task.detection.source_options": {"images": str(tmp_path / "images")},
    }
    assert launch.main([f"--{name}={value}" for name, value in arguments.items()]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    for part in parts:
        assert part in line
    assert not (tmp_path / "run").exists()


def test_a_branch_that_reads_what_is_not_offered_is_one_line(task):
    settings = AutoLossZeroSettings(branches=("classification", "regression"), branch_weights=(1.0, 1.0))
    with user_error("needs the input 'prediction'", "'intersection'"):
        check_fit(autoloss_zero(settings), task.name, task.offers, task.problems)
