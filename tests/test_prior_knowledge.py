"""Searches that begin with hand-crafted losses, as far as their space can write them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.config.wiring import make_cascades, make_space, make_task
from jaxloss.core.types import LossInputs
from jaxloss.filters.equivalence import LossMemory
from jaxloss.runs import open_for_reading
from jaxloss.spaces.families import FAMILIES
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.systems.registry import SYSTEMS
from jaxloss.tasks.class_logits import class_logits
from jaxloss.tasks.classification import CUSTOMARY_LOSSES
from tests.launch.command import run

WITH_PRIOR = autoloss_zero(AutoLossZeroSettings(inputs=("prediction", "target", "prior")))
# The hyper-parameters at which the formulas are written.
WRITTEN = {
    "focal": {"gamma": 2.0},
    "gce": {"q": 0.5},
    "sce": {"alpha": 1.0, "beta": 0.25},
    **{name: {"scale": 1.0} for name in ("log_cosh", "cauchy", "welsch")},
}


@pytest.mark.parametrize("name", WITH_PRIOR.known_losses)
def test_the_formulas_pull_as_the_losses_that_they_are_called_after(name):
    logits, labels = (jnp.asarray(part[4]) for part in class_logits(3))
    prior = np.broadcast_to(np.array([0.7, 0.2, 0.1], np.float32), logits.shape)
    family = FAMILIES[name]
    (branch,) = (one.name for one in WITH_PRIOR.branches)

    def inputs(logits):
        arrays = {"prediction": jax.nn.softmax(logits), "target": jax.nn.one_hot(labels, 3), "logits": logits, "prior": prior}
        return {branch: LossInputs.create({name: array[:, None, None] for name, array in arrays.items()})}

    encoded = WITH_PRIOR.encode(WITH_PRIOR.parse(WITH_PRIOR.known_losses[name]))
    own = jax.grad(lambda logits: WITH_PRIOR.loss(encoded, inputs(logits)))(logits)
    numbers = family.encode({**family.defaults, **WRITTEN.get(name, {})})
    expected = jax.grad(lambda logits: family.loss(numbers, inputs(logits)))(logits)
    scale = np.sum(own * expected) / np.sum(own * own)
    assert scale > 0
    # The trees' logarithm is that of the prediction plus a small number.
    np.testing.assert_allclose(scale * np.asarray(own), np.asarray(expected), atol=2e-3 * np.abs(expected).max())


def test_all_of_them_can_be_read():
    for system in SYSTEMS.values():
        space = system.make_space(system.settings())
        for text in space.known_losses.values():
            assert space.write(space.parse(text))
    assert "balanced_softmax" not in autoloss_zero().known_losses
    two = autoloss_zero(AutoLossZeroSettings(branches=("first", "second"), branch_weights=(1.0, 1.0)))
    assert set(two.parse(two.known_losses["mae"])) == {"first", "second"}


def test_a_search_proposes_them_first_and_says_what_is_a_seed(tmp_path):
    path = tmp_path / "run"
    assert run(path, "search.prior_knowledge=true", "search.num_trainings=5", "search.control=false") == 0
    with open_for_reading(path) as directory:
        rows = [row for row in directory.archive.candidates() if row.branch == "*"]
        ranked = {row.loss for row in directory.archive.trainings() if "rank" in row.stage}
    known = list(autoloss_zero().known_losses.values())
    assert [row.formula for row in rows][:3] == known[:3]
    assert {row.origin for row in rows[:3]} == {"seed"}
    assert ranked


def test_it_is_of_no_use_to_random_search(tmp_path, capsys):
    assert run(tmp_path / "run", "search.prior_knowledge=true", "search.name=random_search") == 2
    assert "config key search.prior_knowledge does nothing in this run" in capsys.readouterr().err


def test_a_known_loss_that_does_not_fit_is_named():
    config = load_config("tests/configs/tiny.py", {"search.prior_knowledge": "true", "space.autoloss_zero.max_instructions": "3"})
    left_out = [remark for remark in make_plan(config).remarks if "is left out" in remark]
    assert any(
        remark.startswith("search.prior_knowledge: the known loss 'focal' of the space autoloss_zero") for remark in left_out
    )
    assert not any("'mae'" in remark for remark in left_out)


def test_they_are_those_of_the_task():
    asked = {"search.preset": "paper", "search.prior_knowledge": "true"}
    plan = make_plan(load_config("configs/autoloss_zero_regression.py", asked))
    assert plan.space.known_losses["mse"] in plan.seeds
    assert plan.space.known_losses["cross_entropy"] not in plan.seeds


def test_on_logits_the_protocol_lets_pass_what_people_train_with():
    def stopped(**overrides):
        changes = {"task.classification.imbalance_ratio": "10", "filters.rejection.variable": "logits", **overrides}
        config = make_plan(load_config("configs/quickstart.py", changes)).config
        space = make_space(config)
        (branch,), (cascade,) = space.branches, make_cascades(config, space, make_task(config)).values()
        names = [name for name in CUSTOMARY_LOSSES if name in space.known_losses]
        graphs = [space.parse(space.known_losses[name])[branch.name] for name in names]
        found = cascade.screen(graphs, LossMemory())
        return {name for name, one in zip(names, found, strict=True) if not one.verdict.accepted}

    assert not stopped()
    # The rate that is printed for predictions.
    assert "soft_f1" in stopped(**{"filters.rejection.learning_rate": "0.001"})
