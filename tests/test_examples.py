"""Parts from outside the package, each in one file and named in a config: they are searched with, reported and exported."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from examples.own_filter import WRONG_ORDER, Order
from jaxloss import Screened, Verdict, export, launch
from jaxloss.report import __main__ as report
from jaxloss.runs import open_for_reading
from tests.short_comparison import SHORT_COMPARISON

REPOSITORY = Path(__file__).parents[1]


SEARCH_ALONE = {"search.control": "false", "comparison.handcrafted": "()", **SHORT_COMPARISON}


class Faulty(Order):
    """A filter whose answer is given as a function of what is known."""

    reasons = ()

    def __init__(self, context, answer):
        super().__init__(context.branch.form)
        self.answer = answer

    def check(self, expressions, known, memory):
        return self.answer(known)


def broken(context):
    return Faulty(context, lambda known: 1 // 0)


def mute(context):
    return Faulty(context, lambda known: None)


def reasonless(context):
    return Faulty(context, lambda known: [Screened(Verdict(None))])


def undeclared(context):
    return Faulty(context, lambda known: [Screened(Verdict(WRONG_ORDER))])


@pytest.fixture
def searched(tmp_path, monkeypatch, capsys):
    """Runs a search through the command line, reports it again; gives its directory and the page."""

    def run(**overrides):
        monkeypatch.chdir(REPOSITORY)
        workdir = tmp_path / "run"
        arguments = ["--config=tests/configs/tiny.py", f"--workdir={workdir}"]
        overrides = {**SEARCH_ALONE, **overrides}
        assert launch.main(arguments + [f"--config.{key}={value}" for key, value in overrides.items()]) == 0, capsys.readouterr()
        assert report.main([str(workdir)]) == 0
        assert "not drawn" not in capsys.readouterr().err
        return workdir, (workdir / "report.html").read_text()

    return run


def exported(workdir, capsys, format):
    assert export.main([str(workdir), f"--format={format}"]) == 0
    return capsys.readouterr().out


def test_a_space_whose_losses_are_no_graphs(searched, capsys):
    workdir, page = searched(**{"space.name": "examples.own_weights:polynomials", "filters.rejection.minimum_gain": "0.2"})
    results = jaxloss.open_run(workdir)
    weights = [float(part) for part in results.best.formula.split(",")]
    assert len(weights) == 4
    assert set(results.candidates()["origin"]) >= {"random", "all weights moved"}
    # In the report: typeset, and drawn over prediction and target as any loss of one branch is.
    assert page.count("pull on the right logit") >= 3
    assert "1 - \\hat{y}" in results.summary["best"]["latex"]
    # In the export.
    assert exported(workdir, capsys, "text").strip() == results.best.formula
    scope = {}
    exec(exported(workdir, capsys, "python"), scope)
    prediction, target = jnp.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]]), jnp.eye(3)[jnp.array([0, 2])]
    np.testing.assert_allclose(scope["loss"](prediction, target), results.best(prediction, target), rtol=1e-6)
    by_hand = np.mean([sum(w * (1 - p) ** (k + 1) for k, w in enumerate(weights)) for p in (0.7, 0.4)])
    np.testing.assert_allclose(results.best(prediction, target), by_hand, rtol=1e-5)
    gradient = jax.jit(jax.grad(results.best.loss))(prediction, target)
    assert np.isfinite(gradient).all()
    assert export.main([str(workdir), "--format=sympy"]) == 2
    assert "a loss without a formula cannot be written as sympy" in capsys.readouterr().err
    # One compilation each, whatever the weights.
    assert set(results.summary["compilations"].values()) == {1}


def test_a_search_asks_for_what_it_needs(tmp_path, monkeypatch, capsys):
    """A space without offspring is a mistake for evolution, and none for random search."""
    monkeypatch.chdir(REPOSITORY)
    (tmp_path / "bare.py").write_text(
        "import dataclasses\nfrom examples.own_weights import polynomials\n\n\n"
        "def bare():\n    return dataclasses.replace(polynomials(), name='bare', offspring=None)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}", "--config.space.name=bare:bare"]
    assert launch.main(arguments) == 2
    assert "search.name=evolution needs a space with offspring, and the space bare has none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_filter_stands_in_the_funnel_and_stops_losses(searched):
    workdir, page = searched(**{"filters.also": "('examples.own_filter:order',)", "filters.rejection.enabled": "false"})
    with open_for_reading(workdir) as run:
        stopped = run.archive.candidates(reason=WRONG_ORDER.label)
        compilations = run.read_summary()["compilations"]
    assert stopped
    assert all(row.gain <= 0 for row in stopped)
    assert "passed two predictions in the right order" in page
    assert WRONG_ORDER.words in page
    assert compilations["order classification"] == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "unknown filter 'nothing'"),
        ("examples.own_filter:ordr", "has no 'ordr'"),
        ("builtins:repr", "the filter 'builtins:repr' must have the attribute 'name', of type str, and a str has none"),
        ("tests.test_examples:broken", "check of the filter 'tests.test_examples:broken' raises ZeroDivisionError"),
        ("tests.test_examples:mute", "must give a list of Screened, one for each expression, not"),
        ("tests.test_examples:reasonless", "of the filter 'tests.test_examples:reasonless' must give a Verdict with a Reason"),
        ("tests.test_examples:undeclared", "for the reason 'wrong_order', which is not among its reasons"),
    ],
)
def test_what_is_no_filter_is_named(tmp_path, capsys, name, message):
    arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}", f"--config.filters.also=('{name}',)"]
    assert launch.main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_task_with_two_branches_and_a_metric_of_the_host(searched, capsys):
    workdir, page = searched(
        **{
            "task.name": "examples.own_branches:make_task",
            "space.autoloss_zero.branches": "('kind', 'place')",
            "space.autoloss_zero.branch_weights": "(1.0, 1.0)",
            "filters.rejection.enabled": "false",
        }
    )
    results = jaxloss.open_run(workdir)
    assert results.summary["metric"] == "both"
    (tuned,) = results.comparison().query("kind == 'found'")["tuned"]
    assert set(tuned["test_means"]) == {"both", "macro_f1", "r2"}
    assert re.fullmatch(r"kind: .* \| place: .*", results.best.formula)
    assert "macro f1" in page
    text = exported(workdir, capsys, "python")
    assert "def loss_kind(prediction, target" in text
    assert "def loss_place(prediction, target" in text
    batch = {"prediction": jnp.full((2, 3), 0.4), "target": jnp.eye(3)[:2]}
    assert np.isfinite(results.best({"kind": batch, "place": batch}))
