"""A run that an earlier version wrote opens, is reported and exported: `stored_run` was written by commit 30ab799."""

import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss import export
from jaxloss.report import __main__ as report

STORED = Path(__file__).parent / "stored_run"


@pytest.fixture
def run(tmp_path):
    return Path(shutil.copytree(STORED, tmp_path / "run"))


def test_its_records_are_there(run):
    results = jaxloss.open_run(run)
    summary = json.loads((STORED / "summary.json").read_text())
    assert results.summary == summary
    assert results.ranking() == summary["ranking"]
    assert results.comparison() == summary["comparison"]
    trained = [row for row in results.candidates() if row["training"]]
    assert {row["search"] for row in trained} == {"evolution", "random_search"}
    assert len(trained) == 2 * summary["counts"]["trained"]
    assert {row["stage"] for row in results.trainings()} >= {"evolution", "random_search", "tune", "test tuned"}


def test_its_best_loss_is_a_function(run):
    loss = jaxloss.open_run(run).best
    prediction, target = jnp.full((2, 3), 0.3), jnp.eye(3)[:2]
    assert np.isfinite(loss(prediction, target))


def test_it_is_reported_with_its_losses_drawn(run, capsys):
    assert report.main([str(run)]) == 0
    assert capsys.readouterr().err == ""
    page = (run / "report.html").read_text()
    assert "Cross-entropy, for reference" in page
    assert page.count("pull on the right logit") >= 2
    assert "does not contain the prediction" in page


@pytest.mark.parametrize("format", ["python", "latex", "sympy", "text"])
def test_it_is_exported(run, capsys, format):
    summary = json.loads((STORED / "summary.json").read_text())
    assert export.main([str(run), f"--format={format}"]) == 0
    text = capsys.readouterr().out
    wanted = {
        "python": "def loss(prediction, target",
        "latex": summary["best"]["latex"],
        "text": summary["best"]["formula"],
        "sympy": summary["best"]["simplified"],
    }
    assert wanted[format] in text
