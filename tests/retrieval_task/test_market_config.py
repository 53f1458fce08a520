"""The config for Market-1501: the numbers of the paper, and a whole search on a tiny folder."""

import ast
import json
import shlex
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.autoloss_gms_reid import table
from jaxloss import export, launch
from jaxloss.config import wiring
from jaxloss.config.file import apply_overrides, load_config
from jaxloss.core.errors import UserError
from jaxloss.core.problem import COSINES
from jaxloss.core.types import LossInputs
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.tasks.retrieval_inputs import BRANCH

ROOT = Path(__file__).parents[2]
MARKET_CONFIG = ROOT / "configs" / "autoloss_gms_market1501.py"
TINY = {
    "task.retrieval.image_size": "(16, 8)",
    "task.retrieval.model": "embedding_cnn",
    "task.retrieval.model_options": "{'features': (4, 8), 'embedding_size': 8}",
    "task.retrieval.train_fraction": "0.6",
    "task.retrieval.augmentation": "crop",
    "task.retrieval.augmentation_options.padding": "1",
    "task.retrieval.identities_per_batch": "3",
    "task.retrieval.images_per_identity": "2",
    "training.batch_size": "6",
    "training.num_epochs": "3.0",
    "training.warmup_epochs": "0.5",
    "training.frozen_epochs": "0.0",
    "training.step_epochs": "(1.0, 2.0)",
}


def test_market_config_is_the_papers():
    config = load_config(str(MARKET_CONFIG))
    space, search = config.space.autoloss_gms, config.search
    table_2 = (space.num_constants, space.max_operators, space.scale_step, space.num_scales, space.constant_step)
    assert (*table_2, space.num_constant_values) == (2, 10, 0.5, 20, 0.05, 20)
    assert (space.crossover_probability, space.copy_probability, space.reinitialise_probability) == (0.6, 0.1, 0.4)
    assert space.max_mutations == 3
    properties = config.filters.properties
    assert (properties.fraction, properties.num_points, properties.digits) == (0.8, 257, 13)
    assert (config.filters.rejection.minimum_metric, config.filters.rejection.num_samples) == (0.9, 64)
    chooser = search.chooser
    assert (chooser.start_after, chooser.update_every, chooser.candidates) == (100, 100, 10)
    predictor = chooser.predictor
    assert (predictor.depth, predictor.batch_size, predictor.num_epochs, predictor.learning_rate) == (50, 16, 200, 0.0035)
    assert (predictor.rank_temperature, predictor.rank_weight) == (0.01, 1.0)
    evolution = search.evolution
    assert (evolution.initial_population, evolution.population_size, evolution.tournament_ratio) == (20, 1000, 0.05)
    assert (search.num_trainings, search.generation_size, len(search.seeds)) == (500, 1, 10)


def test_market_config_trains_as_section_g_says():
    config = load_config(str(MARKET_CONFIG))
    training, task = config.training, config.task.retrieval
    assert (training.optimiser, training.momentum, training.weight_decay) == ("sgd", 0.9, 5e-4)
    assert (training.num_epochs, training.warmup_epochs, training.frozen_epochs) == (140.0, 20.0, 20.0)
    assert training.learning_rate == 0.01
    assert training.learning_rate * training.warmup_start == pytest.approx(0.0001)
    assert (training.schedule, training.step_epochs, training.step_factor) == ("steps", (60.0, 100.0), 0.1)
    assert (task.identities_per_batch, task.images_per_identity, training.batch_size) == (16, 4, 64)
    assert (task.image_size, task.train_fraction, task.train_on_all) == ((128, 64), 0.8, False)
    assert (task.model, task.augmentation, task.flip_test) == ("resnet50", "crop_flip_erase", True)
    assert config.filters.rejection.enabled
    assert config.filters.properties.enabled
    assert config.search.chooser.enabled


def test_the_final_training_of_the_market_config_halves_nothing():
    """By the command that the config itself gives: full resolution, the padding that goes with it, all identities."""
    document = ast.get_docstring(ast.parse(MARKET_CONFIG.read_text()))
    (command,) = (shlex.split(line) for line in document.splitlines() if "mode=train" in line)
    given = dict(part.removeprefix("--config.").split("=", 1) for part in command if part.startswith("--config."))
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {key: value for key, value in given.items() if key.startswith("task.")})
    task = config.task.retrieval
    assert (task.image_size, task.augmentation_options.padding, task.train_on_all) == ((256, 128), 10, True)


@pytest.mark.slow
def test_the_toy_optimisation_asks_for_90_percent_and_not_for_a_gain(market):
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {**TINY, "data_dir": str(market)})
    task, space = wiring.make_task(config), wiring.make_space(config)
    (cascade,) = wiring.make_cascades(config, space, task).values()
    problem = wiring.make_problems(config, task)(COSINES)[BRANCH]
    assert problem.start.shape == (64, 1, 1, 16)
    start = float(problem.metrics(problem.start).mean())
    assert cascade.filter("rejection").protocol.settings.gain(problem) + start == pytest.approx(0.9)


def test_batch_size_and_pk_must_agree(market):
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {**TINY, "data_dir": str(market), "training.batch_size": "64"})
    with pytest.raises(UserError, match=r"training.batch_size \(64\) must be identities_per_batch x images_per_identity = 3 x 2"):
        wiring.make_task(config)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"mode": "train", "comparison.divisions": "(0, 1)", "task.retrieval.train_on_all": "true"},
            "for each of the 2 divisions of the data: set comparison.num_divisions=1",
        ),
        ({"mode": "compare", "task.retrieval.rerank": "true"}, "mode=compare keeps none"),
    ],
)
def test_settings_that_would_be_repeated_or_ignored(market, overrides, message):
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {**TINY, "data_dir": str(market), **overrides})
    with pytest.raises(UserError, match=message):
        wiring.make_task(config)


def test_pretrained_file_of_a_config(market):
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {**TINY, "data_dir": str(market), "task.retrieval.pretrained": "nowhere.safetensors"})
    with pytest.raises(UserError, match=r"nowhere\.safetensors"):
        wiring.make_task(config)
    with pytest.raises(UserError, match=r"pretrained does nothing in this run: it is read by task\.name=retrieval, and this run"):
        load_config(str(MARKET_CONFIG), {"task.name": "fast", "task.retrieval.pretrained": "nowhere.safetensors"})
    with pytest.raises(UserError, match=r"unknown config key 'model\.pretrained'\. It is 'task\.retrieval\.pretrained' now"):
        load_config(str(MARKET_CONFIG), {"model.pretrained": "nowhere.safetensors"})


# A whole run of a space of margins with a chooser, and its report, are also in `tests/test_own_space.py`.
@pytest.mark.slow
def test_market_config_searches_a_tiny_folder(market, tmp_path, capsys):
    """A whole run, with the chooser at work: curves, funnel and formulas in the report, t, n and s in the export."""
    workdir = tmp_path / "run"
    overrides = {
        **TINY,
        "data_dir": market,
        "search.num_trainings": 10,
        "search.control": "false",
        "search.seeds_per_candidate": 1,
        "search.chooser.start_after": 4,
        "search.chooser.update_every": 4,
        "search.chooser.candidates": 3,
        "search.chooser.predictor.depth": 10,
        "search.chooser.predictor.width": 4,
        "search.chooser.predictor.num_epochs": 2,
        "search.evolution.initial_population": 4,
        "search.seeds": "('t: Minus(x, 0.35) | n: x | log2_s: 5',)",
        "filters.rejection.num_samples": 16,
        "comparison.handcrafted": "('cosface',)",
        "comparison.rank_candidates": 2,
        "comparison.rank_seeds": 1,
        "comparison.num_found": 1,
        "comparison.tuning_trainings": 4,
        "comparison.tuning_finalists": 2,
        "comparison.tuning_seeds": 1,
        "comparison.test_seeds": 2,
    }
    arguments = [f"--config.{key}={value}" for key, value in overrides.items()]
    assert launch.main([f"--config={MARKET_CONFIG}", *arguments, f"--workdir={workdir}"]) == 0
    capsys.readouterr()
    summary = json.loads((workdir / "summary.json").read_text())
    counts = summary["counts"]
    assert counts["trained"] == 10
    assert counts["rejected"]["not_promising"] > 0
    assert counts["rejected"]["own_not_rising"] > 0
    assert counts["proposed"] == counts["trained"] + counts["equivalent"] + sum(counts["rejected"].values())
    tuned = summary["comparison"][0]["tuned"]
    assert set(tuned["hyperparameters"]) == {"log2_s"}
    assert tuned["test_scores"]["mAP_step"] == [value for _, _, value in tuned["scores"]]
    assert np.mean(tuned["test_scores"]["rank_1"]) == pytest.approx(tuned["test_means"]["rank_1"])
    table.main([str(workdir / "summary.json"), "--first", "cosface"])
    lines = capsys.readouterr().out.splitlines()
    ours, theirs = (np.array(row["tuned"]["test_scores"]["mAP_step"]) for row in summary["comparison"])
    (paired,) = [line for line in lines if line.startswith("| found 1") and "[" in line]
    assert f" {np.mean(theirs - ours):+.4f} [" in paired
    assert set(summary["compilations"].values()) == {1}
    page = (workdir / "report.html").read_text()
    assert "a look at the curves" in page
    assert "the choice of the most promising" in page
    assert "Circle, m = 0.25, for reference" in page
    assert export.main([str(workdir)]) == 0
    module = {}
    exec(capsys.readouterr().out, module)
    cosine, target = jnp.array([[0.3, -0.2], [0.1, 0.5]]), jnp.array([[1.0, 0.0], [0.0, 1.0]])
    space = autoloss_gms()
    candidate = space.parse(summary["ranking"][0]["formula"])
    inputs = {"identity": LossInputs.create({"cosine": cosine[:, None, None], "target": target[:, None, None]})}
    assert float(module["loss"](cosine, target)) == pytest.approx(float(space.loss(space.encode(candidate), inputs)), rel=1e-5)
