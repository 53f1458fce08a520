"""The class frequencies as something that formulas may read: drawn, judged, trained, simplified, shown, exported."""

import dataclasses
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss import export, launch
from jaxloss.core.types import LossInputs
from jaxloss.filters.population import make_population
from jaxloss.filters.rejection import RejectionProtocol
from jaxloss.filters.settings import RejectionSettings
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.errors import user_error
from tests.problems import classification_problem
from tests.short_comparison import SHORT_COMPARISON
from tests.symbolic.source import load

INPUTS = ("prediction", "target", "prior")
SPACE = autoloss_zero(AutoLossZeroSettings(inputs=INPUTS))
# Logit adjustment with tau = 1, but for what softmax adds: its cross-entropy over prediction * prior.
ADJUSTED = "Neg(Mul(target, Log(Mul(prediction, Inv(prior)))))"
PREDICTION = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], np.float32)
TARGET = np.eye(3, dtype=np.float32)[[0, 2]]
PRIOR = np.array([0.6, 0.3, 0.1], np.float32)
DIGITS = {
    "task.name": "classification",
    "task.classification.model_options.features": "(8,)",
    "task.classification.imbalance_ratio": "20.0",
    "task.classification.metric": "macro_f1",
    "space.autoloss_zero.inputs": str(INPUTS),
    "search.seeds": f"('{ADJUSTED}',)",
    "search.num_trainings": "3",
    "filters.rejection.minimum_gain": "0.2",
    "comparison.handcrafted": "()",
    "training.num_epochs": "1.0",
    **SHORT_COMPARISON,
}


def test_without_being_asked_formulas_read_prediction_and_target():
    (branch,) = autoloss_zero().branches
    assert branch.form.inputs == ("prediction", "target")
    with user_error("unknown input 'prior'"):
        branch.form.parse(ADJUSTED)


def test_the_prior_is_a_leaf_like_the_others():
    generator, (branch,) = np.random.default_rng(0), SPACE.branches
    graphs = [SPACE.sample(generator, branch) for _ in range(60)]
    children = [SPACE.offspring(generator, branch, [graph])[0] for graph in graphs]
    for drawn in (graphs, children):
        leaves = [node.name for graph in drawn for node in graph.nodes if not node.is_operator]
        shares = {name: leaves.count(name) / len(leaves) for name in (*INPUTS, "const")}
        assert min(shares.values()) > 0.15, shares
    for graph in graphs:
        assert branch.form.parse(str(graph)) == graph


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (("prediction", "prior"), "must have prediction and target among its names, and lacks target"),
        ((*INPUTS, "prior"), "names 'prior' twice"),
        ((*INPUTS, "Log"), "takes words of small letters, such as prior, not 'Log'"),
        ((*INPUTS, "mask"), "not 'mask'"),
        ((*INPUTS, "two words"), "not 'two words'"),
    ],
)
def test_inputs_that_cannot_be(inputs, message):
    with user_error("space.autoloss_zero.inputs", message):
        AutoLossZeroSettings(inputs=inputs)


def test_the_loss_is_what_the_formula_says(tmp_path):
    loss = jaxloss.parse(ADJUSTED, inputs=INPUTS, ranges=dict.fromkeys(INPUTS, (0, 1)))
    prior = np.tile(PRIOR, (2, 1))
    wanted = -np.mean([np.log(0.7 / 0.6), np.log(0.4 / 0.1)])
    np.testing.assert_allclose(loss(PREDICTION, TARGET, prior), wanted, rtol=1e-5)
    arrays = dict(zip(INPUTS, (PREDICTION, TARGET, prior), strict=True))
    inputs = LossInputs.create({name: array[:, None, None] for name, array in arrays.items()})
    encoded = SPACE.encode(SPACE.parse(ADJUSTED))
    np.testing.assert_allclose(SPACE.loss(encoded, {"classification": inputs}), wanted, rtol=1e-5)
    module = load(loss.python(), tmp_path)
    np.testing.assert_allclose(module.loss(PREDICTION, TARGET, prior), wanted, rtol=1e-5)
    gradients = [jax.grad(each)(PREDICTION, TARGET, prior) for each in (loss, module.loss)]
    np.testing.assert_allclose(*gradients, rtol=1e-5)
    assert loss.simplified == "-target*log(prediction/prior)"
    assert r"\pi" in loss.latex


@pytest.mark.slow
def test_the_rejection_protocol_is_the_same_in_blocks_and_mapped():
    problem = classification_problem()
    prior = jnp.tile(jnp.asarray(PRIOR), (5, 1))[:, None, None]

    def inputs(value, context):
        return LossInputs.create({"prediction": value, "target": context[0], "prior": context[1]})

    problem = dataclasses.replace(
        problem, context=(problem.context, prior), inputs=inputs, metric=lambda value, context: problem_metric(value, context[0])
    )
    generator, (branch,) = np.random.default_rng(3), SPACE.branches
    graphs = [branch.form.parse(ADJUSTED), branch.form.parse("Square(Add(Mul(prediction, prior), Neg(target)))")]
    # The protocol never meets a loss that does not read both: without a target, classes tie, and rounding says which is largest.
    drawn = (SPACE.sample(generator, branch) for _ in itertools.count())
    graphs += itertools.islice((graph for graph in drawn if {"prediction", "target"} <= graph.input_names), 30)
    verdicts = []
    for batching in ("blocks", "vmap"):
        population = make_population(problem, branch.form.layout, batching, True, 16, 2**28)
        settings = RejectionSettings(iterations=300, learning_rate=0.01)
        verdicts.append(RejectionProtocol(problem, population, settings)(graphs))
    for name in ("reason", "gain"):
        np.testing.assert_array_equal(verdicts[0][name], verdicts[1][name])
    assert (verdicts[0]["gain"][:2] >= 0.6).all()


def problem_metric(value, target):
    return classification_problem().metric(value, target)


@pytest.mark.slow
def test_a_search_with_the_prior_from_draw_to_export(tmp_path, capsys):
    arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path}", "--config.search.control=false"]
    assert launch.main(arguments + [f"--config.{key}={value}" for key, value in DIGITS.items()]) == 0, capsys.readouterr()
    results = jaxloss.open_run(tmp_path)
    assert results.summary["metric"] == "macro_f1"
    candidates = results.candidates()
    assert ADJUSTED in set(candidates["formula"])
    assert candidates["score"].dropna().between(0, 1).all()
    page = (tmp_path / "report.html").read_text()
    assert "their prior π is 1/2" in page
    assert "pull on the right logit" in page
    assert "train labels by class" in page
    capsys.readouterr()
    assert export.main([str(tmp_path), "--format=python"]) == 0
    module = load(capsys.readouterr().out, tmp_path)
    given = (PREDICTION, TARGET, np.tile(PRIOR, (2, 1)))
    np.testing.assert_allclose(module.loss(*given), results.best(*given), rtol=1e-5)


def test_a_task_that_has_none_is_named(tmp_path, capsys):
    arguments = [
        "--config=tests/configs/tiny.py",
        f"--workdir={tmp_path / 'run'}",
        f"--config.space.autoloss_zero.inputs={INPUTS}",
    ]
    assert launch.main(arguments) == 2
    assert re.search(
        r"needs the input 'prior', the task \S+ offers \['logits', 'prediction', 'target'\]", capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()
