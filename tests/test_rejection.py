"""The rejection protocol in lanes: leaving early, refilling, and the way it is computed change no verdict."""

import collections
import itertools
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from jaxloss.core.verdicts import ACCEPTED, PASSED, reason_of
from jaxloss.filters import population as populations
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.gradient import PopulationGradients
from jaxloss.filters.population import fit_lanes, make_population
from jaxloss.filters.rejection import NO_METRIC_GAIN, NON_FINITE_OPTIMISATION, REASONS, RejectionProtocol
from jaxloss.filters.remembered_losses import EQUIVALENT_TO_REJECTED
from jaxloss.filters.settings import RejectionSettings
from jaxloss.graphs.trees import Vocabulary, leaves_of, random_tree
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from tests.problems import BRANCH, SPACE, classification_problem, make_cascade

ENOUGH_MEMORY = 2**28
# So little that the blocks are the fewest that any one candidate fits into.
TIGHT_MEMORY = 30_000


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
    population = make_population(problem, BRANCH.form.layout, batching, True, lanes, ENOUGH_MEMORY)
    return RejectionProtocol(problem, population, RejectionSettings(iterations=iterations), **options)


def assert_equal(one, other):
    for name in ("reason", "gain"):
        np.testing.assert_array_equal(one[name], other[name])


@pytest.fixture(scope="module")
def two_thousand():
    return any_graphs(2000, seed=1)


@pytest.fixture(scope="module")
def whole_descents(two_thousand):
    """All iterations for all of them."""
    return protocol(lanes=256, shortcuts=False)(two_thousand)


def test_who_leaves_early_has_the_verdict_of_the_whole_descent(two_thousand, whole_descents):
    found = protocol(lanes=256)(two_thousand)
    assert_equal(found, whole_descents)
    assert np.all(whole_descents["steps"] == 500)
    # Many leave, for each of the reasons, and at different times.
    reasons = {reason_of(code, REASONS) for code in found["reason"][found["steps"] < 500]}
    assert {NO_METRIC_GAIN, NON_FINITE_OPTIMISATION} <= reasons
    assert len(set(found["steps"])) > 2
    assert found["steps"].mean() < 350


@pytest.mark.slow
def test_the_filters_before_the_protocol_take_nothing_that_would_pass(two_thousand, whole_descents):
    """Those that judge by the gradient, that is: a graph that does not look at the target may gain by luck."""
    cascade, memory = make_cascade(), LossMemory()
    looked_at = [index for index, graph in enumerate(two_thousand) if cascade.look(graph).accepted]
    passes = whole_descents["reason"] == PASSED
    lost = collections.Counter()
    for begin in range(0, len(looked_at), 100):
        chunk = looked_at[begin : begin + 100]
        for index, screened in zip(chunk, cascade.screen([two_thousand[i] for i in chunk], memory), strict=True):
            reason = screened.verdict.reason
            lost[reason] += bool(passes[index]) and reason is not ACCEPTED
            if screened.sketch is not None and not screened.verdict.accepted:
                memory.remember_rejected(BRANCH.name, screened.sketch)
    # Two losses may have the same gradient at the start and part later.
    assert lost.pop(EQUIVALENT_TO_REJECTED, 0) < 0.05 * passes.sum()
    assert sum(lost.values()) == 0, lost


def test_few_lanes_are_refilled_until_all_are_done():
    graphs = any_graphs(150, seed=2)
    assert_equal(protocol(lanes=5, iterations=130)(graphs), protocol(iterations=130)(graphs))


def large_graphs(count, seed):
    """Trees that nearly fill a program."""
    generator, vocabulary = np.random.default_rng(seed), Vocabulary(AUTOLOSS_ZERO.visible, leaves_of(BRANCH.form.layout.inputs))
    drawn = (random_tree(generator, vocabulary, depth=5) for _ in itertools.count())
    sizes = range(18, BRANCH.form.layout.max_instructions + 1)
    return list(itertools.islice((graph for graph in drawn if graph.merged().num_operators in sizes), count))


class Watched:
    """A population that notes which candidates hold its lanes, and how many calls are made."""

    def __init__(self, population):
        self.population = population
        self.refused, self.held, self.calls = 0, [], []

    def __getattr__(self, name):
        return getattr(self.population, name)

    def prepare(self, encoded):
        prepared = self.population.prepare(encoded)
        if prepared is None:
            self.refused += 1
        else:
            self.held.append({id(one) for one in encoded if one is not None})
        return prepared

    def begin(self, population, memory, start, context):
        jax.debug.callback(lambda: self.calls.append(1))
        return self.population.begin(population, memory, start, context)

    @property
    def begun(self):
        """How often a candidate came to hold a lane."""
        return sum(len(now - before) for before, now in itertools.pairwise([set(), *self.held]))


@pytest.mark.slow
@pytest.mark.users_compiler
def test_large_candidates_that_do_not_fit_together_wait():
    """Who is under way stays, so that each begins once; and how many fit is not found out again at every refill."""
    graphs, problem = large_graphs(70, seed=3), classification_problem()
    settings = RejectionSettings(iterations=300)
    tight = Watched(make_population(problem, BRANCH.form.layout, "blocks", True, 80, TIGHT_MEMORY))
    assert tight.lanes == 80
    found = RejectionProtocol(problem, tight, settings)(graphs)
    jax.effects_barrier()
    assert_equal(found, protocol(lanes=32, iterations=300)(graphs))
    assert tight.begun == len(graphs)
    num_calls = len(tight.calls) // (len(problem.start) // tight.samples)
    assert 0 < tight.refused <= num_calls
    # The room is in use: about as many calls as it takes when as many stand side by side as usually fit.
    sizes = [len(held) for held in tight.held if held]
    assert num_calls * np.median(sizes) < 1.25 * np.sum(-(-found["steps"] // 100))


# --- one list, every way -------------------------------------------------------------------------------------------------------


def summaries(cascade, graphs):
    return [
        (one.verdict.reason, str(one.verdict.value), one.signature, one.sketch) for one in cascade.screen(graphs, LossMemory())
    ]


@pytest.mark.slow
def test_all_ways_come_to_the_same_verdicts(two_thousand):
    """Blocks and vmap, each on one device and on two, and blocks in threads; each compiled once for lists of any length."""
    assert jax.local_device_count() >= 2
    graphs = [graph for graph in two_thousand if {"prediction", "target"} <= graph.input_names][:120]
    elementwise = BRANCH.form.layout.operators.elementwise.by_name
    assert sum(any(node.name not in elementwise for node in graph.nodes if node.is_operator) for graph in graphs) > 20
    found, shared = {}, []
    with ThreadPoolExecutor(3) as workers:
        for batching, devices in (("vmap", 2), ("vmap", 1), ("blocks", 2), ("blocks", 1)):
            cascade = make_cascade(batching=batching, devices=devices, iterations=150, width=16)
            found[batching, devices] = [row for part in (graphs[:1], graphs[1:8], graphs[8:]) for row in summaries(cascade, part)]
            # Under `vmap` graphs without aggregation have a program of their own.
            programs = 1 if batching == "blocks" else 2
            assert cascade.compilations == {"gradient": programs, "rejection": programs}
        counted = SimpleNamespace(map=lambda *arguments: shared.append(1) or workers.map(*arguments))
        cascade = make_cascade(batching="blocks", iterations=150, width=16, workers=counted, num_workers=3)
        summaries(cascade, graphs[:1])  # compiled by one thread, before several may meet it
        found["threads"] = summaries(cascade, graphs)
        assert shared == [1]
        assert cascade.compilations == {"gradient": 1, "rejection": 1}
    for way, rows in found.items():
        assert [row[:2] for row in rows] == [row[:2] for row in found["blocks", 1]], way
    assert len({reason for reason, *_ in found["threads"]}) >= 4  # the list is not one-sided
    # To the bit on any number of devices. Norms of the two forms round differently where they sum in another order.
    assert found["blocks", 1] == found["blocks", 2] == found["threads"]
    assert found["vmap", 1] == found["vmap", 2]
    same = [one[2] == other[2] for one, other in zip(found["blocks", 1], found["vmap", 1], strict=True)]
    assert np.mean(same) > 0.97


@pytest.mark.parametrize("guessed", [0.5, 4])
def test_as_many_lanes_as_the_compiler_finds_room_for(guessed):
    """Fewer than were guessed, or more, found by compiling once more; nothing is run to find out."""
    budget, most, problem = 200_000, 100, classification_problem()
    population = make_population(problem, BRANCH.form.layout, "vmap", False, most, int(guessed * budget))
    guess, taken = population.lanes, []

    class Fitted(Watched):
        def fit(self, needed):
            fit_lanes(self.population, needed, most, budget)
            taken.append(needed(self.population.prepare([])))

    gradients = PopulationGradients(problem, Fitted(population))
    assert 0.9 * budget < taken[0] <= budget
    assert (population.lanes > guess) is (guessed < 1)
    assert len(gradients(any_graphs(population.lanes + 1, seed=6))["reason"]) == population.lanes + 1
    assert gradients.compilations == 2


@pytest.mark.slow
def test_graphs_of_one_size_share_a_program_on_an_accelerator(monkeypatch):
    """Its loops have a fixed number of trips: one compilation for each number in use, and the same verdicts."""
    graphs = [*large_graphs(4, seed=7), *any_graphs(20, seed=7)]
    plain = protocol(batching="vmap", iterations=20, lanes=16)
    monkeypatch.setattr(populations, "loops_ask_the_host", lambda: True)
    fixed = protocol(batching="vmap", iterations=20, lanes=16)
    assert_equal(fixed(graphs), plain(graphs))
    assert (plain.compilations, fixed.compilations) == (1, 2)


@pytest.mark.slow
def test_iterations_need_not_be_a_multiple_of_those_between_two_looks():
    graphs = any_graphs(60, seed=5)
    assert_equal(protocol(iterations=130)(graphs), protocol(iterations=130, shortcuts=False)(graphs))
