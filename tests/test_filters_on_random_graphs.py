"""Random graphs by the thousand: what is said of a graph depends on nothing but the graph."""

import itertools

import numpy as np
import pytest

from jaxloss.core.verdicts import ACCEPTED
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.gradient import NON_FINITE_GRADIENT, ZERO_GRADIENT, PopulationGradients
from jaxloss.filters.population import make_population
from jaxloss.filters.rejection import NO_METRIC_GAIN, NON_FINITE_OPTIMISATION
from jaxloss.graphs.program import decode, encode
from tests.problems import BRANCH, SPACE, classification_problem, graph, make_cascade


def random_graphs(count, seed=0):
    """Random and mutated graphs as a search draws them, mixed, that hold prediction and target."""
    found = []
    for number in itertools.count():
        generator = np.random.default_rng((seed, number))
        drawn = SPACE.sample(generator, BRANCH)
        if found and number % 2:
            drawn, _ = SPACE.offspring(generator, BRANCH, [found[generator.integers(len(found))]])
        if {"prediction", "target"} <= drawn.input_names:
            found.append(drawn)
        if len(found) == count:
            return found


# --- what does not matter ----------------------------------------------------------------------------------------------------


def summary(screened):
    return screened.verdict.reason, screened.signature, screened.sketch


@pytest.mark.parametrize(
    ("samples", "classes"), [(5, 21), pytest.param(5, 100, marks=pytest.mark.slow), pytest.param(10, 9, marks=pytest.mark.slow)]
)
def test_the_place_in_a_block_does_not_matter(samples, classes):
    """Nor for rows that do not fill whole vectors: to the bit, in another order and in other company."""
    generator = np.random.default_rng(0)
    start = generator.dirichlet(np.ones(classes), samples)
    problem = classification_problem(start, np.arange(samples) % classes)
    population = make_population(problem, BRANCH.form.layout, "blocks", False, 64, 2**28)
    gradients, graphs = PopulationGradients(problem, population), random_graphs(400)
    order = generator.permutation(len(graphs))[:333]
    before, after = gradients(graphs), gradients([graphs[i] for i in order])
    for name in ("reason", "norms", "projections"):
        np.testing.assert_array_equal(before[name][order], after[name])


def test_how_a_formula_is_written_does_not_matter():
    """Graphs with one key are computed in one form."""
    one = graph("Add(Mul(prediction, target), Exp(Mul(target, prediction)))")
    other = graph("Add(Exp(Mul(prediction, target)), Mul(target, prediction))")
    assert one != other
    assert one.canonical(BRANCH.form.layout.operators) == other.canonical(BRANCH.form.layout.operators)
    assert one.canonical(BRANCH.form.layout.operators).key(BRANCH.form.layout.operators) == one.key(BRANCH.form.layout.operators)


@pytest.mark.slow
def test_what_is_said_of_a_graph_does_not_depend_on_its_company():
    """Neither on the others in the call, nor on what was asked before: a continued run must come to the same results."""
    first, second = (make_cascade(iterations=50) for _ in range(2))
    graphs = random_graphs(24, seed=5)
    together = list(map(summary, first.screen(graphs, LossMemory())))
    one_by_one = [summary(*second.screen([one], LossMemory())) for one in reversed(graphs)][::-1]
    assert together == one_by_one


# --- thousands of graphs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "seed"),
    [pytest.param(1500, 11, id="1500"), pytest.param(20_000, 12, id="20000", marks=pytest.mark.slow)],
)
def test_random_and_mutated_graphs_go_through(count, seed):
    cascade = make_cascade(width=32, iterations=60)
    graphs = random_graphs(count, seed)
    screened = [one for start in range(0, count, 500) for one in cascade.screen(graphs[start : start + 500], LossMemory())]
    assert len(screened) == count
    # A gradient that is described is finite; without one there is a reason for it.
    described = [one for one in screened if one.signature is not None]
    assert not any("nan" in one.signature or "inf" in one.signature for one in described)
    without = {one.verdict.reason for one in screened if one.signature is None}
    assert without == {NON_FINITE_GRADIENT, ZERO_GRADIENT}
    reasons = {one.verdict.reason for one in described}
    assert {ACCEPTED, NO_METRIC_GAIN, NON_FINITE_OPTIMISATION} <= reasons
    assert cascade.compilations == {"gradient": 1, "rejection": 1}


def test_every_random_graph_can_be_encoded():
    for number in range(2000):
        drawn = SPACE.sample(np.random.default_rng(number), BRANCH)
        assert decode(encode(drawn, BRANCH.form.layout), BRANCH.form.layout).key(BRANCH.form.layout.operators) == drawn.key(
            BRANCH.form.layout.operators
        )
