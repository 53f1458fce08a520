"""Model optimisation simulation: losses raise the metric of their branch, many in one call."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxloss.core.reduce import total_loss
from jaxloss.core.verdicts import ACCEPTED
from jaxloss.filters.base import Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.context import FilterContext
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.settings import FilterSettings, RejectionSettings
from jaxloss.systems.cse_autoloss.filters import make_filters
from tests.box_losses.spaces import changed, form_of, named, negated, space_of
from tests.box_losses.task import problem_of
from tests.compilations import counted

SETTINGS = RejectionSettings(iterations=60, learning_rate=0.02, minimum_gain=0.05)


@functools.cache
def filters(branch, batching="auto"):
    problem = problem_of(branch)
    settings = FilterSettings(width=16, batching=batching, rejection=SETTINGS)
    return make_filters(FilterContext(space_of(branch).branches[0], lambda name: problem, settings))


def simulated(branch, texts, batching="auto"):
    (one,) = [one for one in filters(branch, batching) if one.name == "simulation"]
    expressions = [form_of(branch).parse(text) for text in texts]
    return [found.verdict for found in one.check(expressions, [Screened()] * len(texts), LossMemory())]


def gain_alone(branch, text):
    """The gain of one loss by optax, one image after the other, from the compiled form."""
    problem, form = problem_of(branch), form_of(branch)
    loss, optimiser = form.compile(form.parse(text)), optax.sgd(SETTINGS.learning_rate, momentum=SETTINGS.momentum)

    def total(value, context):
        inputs = problem.inputs(value[None], jax.tree.map(lambda leaf: leaf[None], context))
        return total_loss(loss(inputs), inputs)

    @jax.jit
    def descend(start):
        def step(carry, _):
            value, state = carry
            update, state = optimiser.update(jax.vmap(jax.grad(total))(value, problem.context), state)
            return (optax.apply_updates(value, update), state), None

        return jax.lax.scan(step, (start, optimiser.init(start)), length=SETTINGS.iterations)[0][0]

    return float(jnp.mean(problem.metrics(descend(problem.start)) - problem.metrics(problem.start)))


# That of classification is compiled for a minute where nothing is cached.
@pytest.mark.parametrize("branch", ["regression", pytest.param("classification", marks=pytest.mark.slow)])
class TestSimulation:
    def test_known_losses_raise_the_metric_and_their_negatives_do_not(self, branch):
        names = ("cei", "fli", "cse_autoloss_a_classification") if branch == "classification" else ("giou", "iou")
        texts = [named(branch)[name] for name in names]
        assert [one.reason for one in simulated(branch, texts)] == [ACCEPTED] * len(texts)
        assert {one.reason.label for one in simulated(branch, list(map(negated, texts)))} == {"poor_in_simulation"}

    def test_the_gain_is_that_of_the_loss_alone(self, branch):
        text = named(branch)["cei" if branch == "classification" else "giou"]
        (found,) = simulated(branch, [text])
        assert found.value == pytest.approx(gain_alone(branch, text), abs=2e-3)
        assert found.value > 0.2

    def test_nothing_is_compiled_for_a_loss(self, branch):
        texts = list(named(branch).values())
        simulated(branch, texts)
        others = [changed(text, f"Add({{}}, {number})") for text in texts for number in (1, 2, 3)]
        with counted() as compilations:
            simulated(branch, others)
        assert not compilations

    def test_the_filters_go_from_cheap_to_dear(self, branch):
        cascade = Cascade(branch, form_of(branch), filters(branch))
        assert [one.title for one in cascade.filters] == [
            "a look at the leaves",
            "one gradient",
            "convergence property verification",
            "the memory of rejected losses",
            "model optimisation simulation",
        ]
        good, wrong = named(branch)["fli" if branch == "classification" else "iou"], "Sub(1, 1)"
        expressions = [form_of(branch).parse(text) for text in (good, negated(good), wrong)]
        found = cascade.screen(expressions, LossMemory())
        turned = "not_falling" if branch == "classification" else "not_consistent"
        assert [one.verdict.reason.label for one in found] == [ACCEPTED.label, turned, "zero_gradient"]


@pytest.mark.slow
def test_side_by_side_or_in_blocks_a_loss_has_the_same_gain():
    texts = [named("regression")[name] for name in ("giou", "iou")]
    gains = [[one.value for one in simulated("regression", texts, batching)] for batching in ("blocks", "vmap")]
    np.testing.assert_allclose(*gains, atol=2e-3)


def test_what_runs_into_infinity_diverges():
    (found,) = simulated("regression", ["t1 = Mul(enclosing, enclosing); Neg(Mul(t1, t1))"])
    assert found.reason.label == "diverges_in_simulation"
