"""A space of one's own, as the documentation shows it: one factory, named in the config."""

import re
from pathlib import Path

import numpy as np
import pytest

from examples.own_space import parabolas
from jaxloss import launch
from jaxloss.runs import open_for_reading
from tests.short_comparison import SHORT_COMPARISON

REPOSITORY = Path(__file__).parents[1]


def test_every_draw_and_every_offspring_is_two_parabolas_and_a_scale():
    space = parabolas()
    (branch,) = space.branches
    random = np.random.default_rng(0)
    child = space.sample(random, branch)
    for _ in range(200):
        child, _ = space.offspring(random, branch, [child])
        assert [graph.num_operators for graph in (child.own, child.other)] == [4, 4]
        assert space.encode({branch.name: child}).keys() == {branch.name}


# The other examples run whole in the quick tests.
@pytest.mark.slow
def test_the_example_runs_through_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    random = np.random.default_rng(0)
    persons = np.repeat(np.arange(12), 4)
    looks = random.integers(0, 256, (12, 8, 8, 1))
    images = np.clip(looks[persons] + random.normal(0, 20, (48, 8, 8, 1)), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "persons.npz", images=images, identities=persons)
    overrides = {
        "space.name": "examples.own_space:parabolas",
        "space.options": "{'step': 0.2}",
        "data_dir": tmp_path,
        "task.retrieval.source": "npz:persons.npz",
        "task.retrieval.source_options": "{'camera_key': '', 'split_key': ''}",
        "task.retrieval.model_options": "{'features': (4,), 'embedding_size': 8}",
        "task.retrieval.augmentation": "none",
        "task.retrieval.augmentation_options": "{}",
        "task.retrieval.train_fraction": "0.6",
        "task.retrieval.identities_per_batch": "4",
        "task.retrieval.images_per_identity": "2",
        "training.batch_size": "8",
        "filters.rejection.enabled": "false",
        "search.num_trainings": "6",
        "search.control": "false",
        "search.evolution.initial_population": "3",
        "comparison.handcrafted": "()",
        **SHORT_COMPARISON,
    }
    arguments = ["--config=configs/autoloss_gms_omniglot.py", f"--workdir={tmp_path / 'run'}"]
    assert launch.main(arguments + [f"--config.{key}={value}" for key, value in overrides.items()]) == 0
    assert "parabolas" in (tmp_path / "run" / "config.json").read_text()
    capsys.readouterr()
    with open_for_reading(tmp_path / "run") as run:
        summary = run.read_summary()
        origins = {row.origin for row in run.archive.candidates(search="evolution")}
    assert summary["counts"]["trained"] == 6
    assert "all numbers moved" in origins
    assert set(re.findall(r"\b[A-Z]\w+", summary["best"]["formula"])) == {"Add", "Mul"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "slopes: " in page
    assert set(summary["compilations"].values()) == {1}


def test_the_documentation_shows_the_examples_as_they_are():
    page = (REPOSITORY / "README.md").read_text()
    for name, start in (("own_task", "import jax\n"), ("own_space", "import dataclasses\n")):
        source = (REPOSITORY / "examples" / f"{name}.py").read_text()
        assert source[source.index(start) :] in page
