"""The config of a search on blood cells: the numbers of the paper, and the checks of a run."""

import numpy as np

from jaxloss.config import default_config
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from tests.errors import user_error
from tests.launch.command import REPOSITORY

CONFIG = str(REPOSITORY / "configs/cse_autoloss_bccd.py")


def test_the_preset_has_the_numbers_of_the_paper():
    config = default_config("cse_autoloss")
    assert (config.search.name, config.search.generation_size, config.search.generations.kept) == ("generations", 1000, 10)
    # Table 5: 15 losses were evaluated for the regression branch; here the predefined one is, too.
    assert (config.search.seeds, config.search.num_trainings) == (("giou",), 16)
    # One image of each category of COCO.
    assert config.filters.rejection.num_samples == 80


def write_cells(folder):
    """A miniature of the data, and what of the config it changes."""
    random, count = np.random.default_rng(0), 48
    low = random.integers(0, 20, (count, 2))
    arrays = {
        "images": random.integers(0, 256, (count, 48, 64, 3)).astype(np.uint8),
        "boxes_xyxy": np.concatenate([low, low + random.integers(8, 25, (count, 2))], axis=1).astype(np.float32),
        "box_image": np.arange(count, dtype=np.int32),
        "box_label": random.integers(0, 3, count),
        "class_names": np.array(["platelet", "red", "white"]),
    }
    np.savez(folder / "cells.npz", **arrays)
    return {
        "data_dir": str(folder),
        "task.detection.source": "npz:cells.npz",
        "task.detection.source_options": "{'split_key': 'none'}",
        "task.detection.fractions": "(0.5, 0.25, 0.25)",
        "task.detection.rejection_locations": "12",
    }


def test_a_search_on_blood_cells_passes_the_checks_of_a_run(tmp_path):
    plan = make_plan(load_config(CONFIG, write_cells(tmp_path)))
    assert [branch.name for branch in plan.space.branches] == ["regression"]
    assert plan.task.offers.keys() == {"regression"}
    assert "classification" in plan.task.auxiliary_losses


def test_a_fixed_loss_of_a_softmax_is_refused_where_classes_are_a_question_each(tmp_path):
    """As it is where nothing is said of it: cross-entropy, as in the paper's Faster R-CNN."""
    with user_error("the loss 'cross_entropy' is one of a softmax", "of the branch classification", "are a question each"):
        make_plan(load_config(CONFIG, {**write_cells(tmp_path), "space.cse_autoloss.fixed_loss": ""}))
