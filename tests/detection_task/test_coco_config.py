"""The config of COCO: the numbers of the paper, the checks of a run, and a search in miniature over files that are streamed."""

from pathlib import Path

import pytest
from safetensors.numpy import save_file

import jaxloss
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.tasks.data.stream import is_streamed
from tests import pytorch_networks
from tests.detection_task.coco_folder import write_coco_folder
from tests.errors import user_error
from tests.short_comparison import SHORT_COMPARISON

COCO = Path(__file__).parents[2] / "configs" / "cse_autoloss_coco_fcos.py"
MINIATURE = {
    "task.detection.image_size": "(136, 144)",
    "task.detection.fractions": "(0.7, 0.3, 0.0)",
    "task.detection.model_options": "{'depths': (1, 1, 1, 1), 'width': 4, 'channels': 8, 'groups': 4, 'depth': 1}",
    "task.detection.rejection_locations": "12",
    "task.detection.evaluation_batch": "3",
    "filters.rejection.num_samples": "4",
    "training.batch_size": "4",
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = write_coco_folder(tmp_path_factory.mktemp("coco"))
    save_file(pytorch_networks.resnet_state((1, 1, 1, 1), 4), folder / "weights.safetensors")
    return folder


def config_of(data_dir, overrides):
    return load_config(str(COCO), {"data_dir": str(data_dir), **overrides})


def test_its_numbers_are_those_of_the_paper():
    config = config_of("nowhere", {})
    task, training = config.task.detection, config.training
    assert round(task.fractions[1] * 118_287) == 10_000
    steps = (118_287 - 10_000) / training.batch_size
    assert (training.batch_size, training.num_epochs, round(training.warmup_epochs * steps)) == (16, 1, 500)
    assert (config.search.generation_size, config.search.generations.kept) == (1000, 10)
    assert (config.search.seeds, config.space.cse_autoloss.fixed_loss) == (("giou",), "sigmoid_focal")
    with user_error("nowhere"):
        make_plan(config)


def test_it_passes_the_checks_of_a_run(data_dir):
    plan = make_plan(config_of(data_dir, {**MINIATURE, "task.detection.pretrained": str(data_dir / "weights.safetensors")}))
    assert is_streamed(plan.task.data)
    assert plan.task.details["pretrained"].endswith("weights.safetensors")
    assert (plan.task.details["num_train"], plan.task.details["num_test"]) == (11, 6)
    assert plan.task.details["fitting"] == "fit"
    assert plan.task.metric == "ap"


def test_it_says_what_its_backbone_lacks(data_dir):
    with user_error("frozen_statistics needs the weights that they belong to: task.detection.pretrained"):
        make_plan(config_of(data_dir, {**MINIATURE, "task.detection.model_options.frozen_statistics": "true"}))


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ["fcos", "atss"])
def test_it_searches_in_miniature(data_dir, tmp_path, assignment):
    overrides = {
        **MINIATURE,
        **SHORT_COMPARISON,
        "quiet": "true",
        "task.detection.assignment": assignment,
        "task.detection.pretrained": str(data_dir / "weights.safetensors"),
        "search.num_trainings": "3",
        "search.generation_size": "20",
        "search.generations.kept": "2",
        "filters.convergence.num_points": "9",
        "filters.rejection.iterations": "40",
        "filters.batch": "20",
        "training.num_epochs": "2.0",
        "training.warmup_epochs": "0.5",
        "comparison.handcrafted": "('giou',)",
        "execution.workers": "1",
    }
    summary = jaxloss.run(config_of(data_dir, overrides), tmp_path / "run").summary
    assert summary["counts"]["trained"] == 3
    assert {row["name"] for row in summary["comparison"]} > {"giou"}
    assert (tmp_path / "run" / "report.html").is_file()
