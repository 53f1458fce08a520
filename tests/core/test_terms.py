"""What is left of a loss without one of its top-level terms."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.graphs.program import fits
from jaxloss.graphs.terms import without_terms
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.core.random_graphs import SETTINGS, random_graphs

FORM = autoloss_zero().branches[0].form


def left(formula):
    return {term: str(graph) for term, graph in FORM.ablated(FORM.parse(formula)).items()}


def test_a_sum_of_sums_has_all_their_terms():
    assert left("Add(Add(Log(prediction), target), Neg(Add(target, 1)))") == {
        "Log(prediction)": "Add(target, Neg(Add(target, 1)))",
        "target": "Add(Log(prediction), Neg(Add(target, 1)))",
        "Neg(Add(target, 1))": "Add(Log(prediction), target)",
    }


def test_what_stands_above_the_sum_stays_and_factors_are_terms():
    assert left("Neg(Tanh(Mul(target, Log(prediction))))") == {
        "target": "Neg(Tanh(Log(prediction)))",
        "Log(prediction)": "Neg(Tanh(target))",
    }


def test_a_shared_part_stays_where_another_term_needs_it():
    assert left("t1 = Exp(prediction); Add(t1, Mul(t1, target))") == {
        "Exp(prediction)": "Mul(Exp(prediction), target)",
        "Mul(Exp(prediction), target)": "Exp(prediction)",
    }


@pytest.mark.parametrize("formula", ["prediction", "Exp(Neg(target))"])
def test_a_loss_of_one_term_has_none_to_spare(formula):
    assert left(formula) == {}


def test_terms_of_a_sum_add_up():
    formula = "Add(Add(Square(prediction), Mul(target, prediction)), Exp(target))"
    random = np.random.default_rng(0)
    inputs = LossInputs.create({name: jnp.asarray(random.uniform(size=(2, 1, 1, 3)), jnp.float32) for name in FORM.inputs})
    whole = FORM.compile(FORM.parse(formula))(inputs)
    parts = [FORM.compile(one)(inputs) for one in FORM.ablated(FORM.parse(formula)).values()]
    np.testing.assert_allclose(sum(parts), 2 * whole, rtol=1e-6)  # each of three terms is in two of them


def test_each_curve_of_a_margin_loss_has_its_own_terms():
    form = autoloss_gms().branches[0].form
    loss = form.parse("t: Add(x, Exp(x)) | n: Neg(x) | log2_s: 4")
    assert {term: form.write(one) for term, one in form.ablated(loss).items()} == {
        "t: x": "t: Exp(x) | n: Neg(x) | log2_s: 4",
        "t: Exp(x)": "t: x | n: Neg(x) | log2_s: 4",
    }


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_random_losses_without_a_term_fit_and_are_smaller(setting):
    found = [(graph, without_terms(graph, setting.layout)) for graph in random_graphs(0, setting, 20)]
    assert all(fits(one, setting.layout) and one.tree_size < graph.tree_size for graph, left in found for one in left.values())
    assert sum(len(left) for _, left in found) > 20
