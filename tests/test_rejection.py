"""The rejection protocol in lanes: leaving early, refilling, several devices and both ways change no verdict."""

import jax
import numpy as np
import pytest

from jaxloss.core.types import Reason
from jaxloss.filters.equivalence import GradientMemory
from jaxloss.filters.population import make_population
from jaxloss.filters.rejection import RejectionProtocol, RejectionSettings
from tests.problems import BRANCH, SPACE, classification_problem, make_cascade

ENOUGH_MEMORY = 2**28


def any_graphs(count, seed):
    """Random and mutated graphs, also those without prediction or target."""
    generator = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        graph = SPACE.sample(generator, BRANCH)
        if found and generator.random() < 0.5:
            graph, _ = SPACE.offspring(generator, BRANCH, [found[generator.integers(len(found))]])
        found.append(graph)
    return found


def protocol(lanes=64, iterations=500, batching="blocks", problem=None, **options):
    problem = classification_problem() if problem is None else problem
    population = make_population(problem, BRANCH.layout, batching, True, lanes, ENOUGH_MEMORY)
    return RejectionProtocol(problem, population, RejectionSettings(iterations=iterations), **options)


def assert_equal(one, other):
    for name in ("reason", "gain"):
        np.testing.assert_array_equal(one[name], other[name])


@pytest.fixture(scope="module")
def five_thousand():
    return any_graphs(5000, seed=1)


@pytest.fixture(scope="module")
def whole_descents(five_thousand):
    """All iterations for all of them."""
    return protocol(lanes=256, shortcuts=False)(five_thousand)


def test_who_leaves_early_has_the_verdict_of_the_whole_descent(five_thousand, whole_descents):
    found = protocol(lanes=256)(five_thousand)
    assert_equal(found, whole_descents)
    assert np.all(whole_descents["steps"] == 500)
    # Many leave, for each of the reasons, and at different times.
    reasons = {Reason(reason) for reason in found["reason"][found["steps"] < 500]}
    assert {Reason.NO_METRIC_GAIN, Reason.NON_FINITE_OPTIMISATION} <= reasons
    assert len(set(found["steps"])) > 2
    assert found["steps"].mean() < 350


def test_the_filters_before_the_protocol_take_nothing_that_would_pass(five_thousand, whole_descents):
    """Those that judge by the gradient, that is: a graph that does not look at the target may gain by luck."""
    cascade, memory = make_cascade(), GradientMemory()
    looked_at = [index for index, graph in enumerate(five_thousand) if cascade.contents(graph).accepted]
    passes = whole_descents["reason"] == Reason.ACCEPTED
    lost = dict.fromkeys(Reason, 0)
    for begin in range(0, len(looked_at), 100):
        chunk = looked_at[begin : begin + 100]
        for index, screened in zip(chunk, cascade.screen([five_thousand[i] for i in chunk], memory), strict=True):
            reason = screened.verdict.reason
            lost[reason] += bool(passes[index]) and reason is not Reason.ACCEPTED
            if screened.sketch is not None and not screened.verdict.accepted:
                memory.remember_rejected(BRANCH.name, screened.sketch)
    # Two losses may have the same gradient at the start and part later.
    assert lost.pop(Reason.EQUIVALENT_TO_REJECTED) < 0.05 * passes.sum()
    assert sum(lost.values()) == 0, lost


def test_few_lanes_are_refilled_until_all_are_done():
    graphs = any_graphs(150, seed=2)
    assert_equal(protocol(lanes=5, iterations=120)(graphs), protocol(lanes=256, iterations=120)(graphs))


def test_candidates_that_do_not_fit_together_wait():
    """A memory for one large program at a time: the others wait, and come to the same verdicts."""
    graphs = any_graphs(40, seed=3)
    tight = protocol(lanes=40, iterations=60)
    shape = tight._population._shape
    tight._population._shape = type(shape)(shape.layout, shape.varying, shape.lanes, shape.width, slots=12)
    together = [tight._population.encode(graph) for graph in graphs]
    assert tight._population.prepare(together) is None
    assert_equal(tight(graphs), protocol(lanes=40, iterations=60)(graphs))


@pytest.mark.parametrize("batching", ["blocks", "vmap"])
def test_several_devices_come_to_the_same_verdicts(batching):
    assert jax.local_device_count() >= 2
    graphs = any_graphs(90, seed=4)
    one = protocol(lanes=16, iterations=150, batching=batching)
    two = protocol(lanes=16, iterations=150, batching=batching, num_devices=2)
    assert_equal(one(graphs), two(graphs))
    assert one.compilations == two.compilations == 1


def test_iterations_need_not_be_a_multiple_of_those_between_two_looks():
    graphs = any_graphs(60, seed=5)
    assert_equal(protocol(iterations=130)(graphs), protocol(iterations=130, shortcuts=False)(graphs))
