"""One list of promises for each kind of part: what is registered keeps it, and so do parts from outside the package."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from examples.own_branches import make_task as two_branches
from examples.own_filter import order
from examples.own_space import parabolas
from examples.own_task import make_task as a_line
from examples.own_weights import polynomials
from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs
from jaxloss.core.verdicts import ACCEPTED
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import ExecutionFactory, choose
from jaxloss.execution.settings import DATA_PARALLEL, PMAP, SERIAL, VMAP
from jaxloss.filters.base import UNDECIDED, Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.check import check_filter, check_names
from jaxloss.filters.context import FilterContext
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.settings import FilterSettings, RejectionSettings
from jaxloss.filters.standard import standard_filters
from jaxloss.search.base import Individual
from jaxloss.search.registry import SEARCHES
from jaxloss.spaces.check import check_space
from jaxloss.systems.registry import SYSTEMS
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.check import check_task, on_division
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.cosine_problem import toy_problem
from jaxloss.tasks.registry import TASKS
from jaxloss.tasks.settings import TrainingSettings
from tests.compilations import counted
from tests.problems import classification_problem

# --- spaces --------------------------------------------------------------------------------------------------------------------

SPACES = {name: lambda system=system: system.make_space(system.settings()) for name, system in SYSTEMS.items()}
SPACES |= {"parabolas (outside)": parabolas, "polynomials (outside)": polynomials}


def inputs_for(space, seed=0):
    """Random inputs of every branch, `[6, 1, 1, 4]`: one-hot targets, and numbers between 0.1 and 0.9 for everything else."""
    random = np.random.default_rng(seed)

    def array(name):
        if name == "target":
            return np.eye(4, dtype=np.float32)[random.integers(4, size=6)][:, None, None]
        return random.uniform(0.1, 0.9, (6, 1, 1, 4)).astype(np.float32)

    return {
        branch.name: LossInputs.create({name: jnp.asarray(array(name)) for name in branch.form.inputs})
        for branch in space.branches
    }


@pytest.fixture(scope="module", params=SPACES)
def space(request):
    return SPACES[request.param]()


def draw(space, seed):
    random = np.random.default_rng(seed)
    return {branch.name: space.sample(random, branch) for branch in space.branches}


class TestSpaces:
    def test_it_is_what_a_space_has_to_be(self, space):
        check_space(space, jax.eval_shape(lambda: inputs_for(space)))

    def test_a_draw_is_the_same_for_the_same_generator(self, space):
        assert [space.write(draw(space, seed)) for seed in range(5)] == [space.write(draw(space, seed)) for seed in range(5)]
        assert len({space.write(draw(space, seed)) for seed in range(20)}) > 10

    def test_what_is_written_is_read_as_the_same_loss(self, space):
        for seed in range(20):
            candidate = draw(space, seed)
            again = space.parse(space.write(candidate))
            assert space.key(again) == space.key(candidate)
            assert space.write(again) == space.write(candidate)

    def test_offspring_belong_to_the_space(self, space):
        random = np.random.default_rng(1)
        for branch in space.branches:
            parents = [space.sample(random, branch) for _ in range(space.num_parents)]
            for _ in range(10):
                child, origin = space.offspring(random, branch, parents)
                assert origin
                assert branch.form.write(branch.form.parse(branch.form.write(child))) == branch.form.write(child)
                parents = [child] * space.num_parents

    def test_the_encoded_loss_is_the_compiled_one_and_nothing_is_compiled_for_a_candidate(self, space):
        candidates = [draw(space, seed) for seed in range(4)]
        inputs = inputs_for(space)
        any_loss = jax.jit(jax.value_and_grad(lambda inputs, one: space.loss(one, inputs), allow_int=True))
        found = [any_loss(inputs, space.encode(one)) for one in candidates[:1]]
        with counted() as compilations:
            found += [any_loss(inputs, space.encode(one)) for one in candidates[1:]]
        assert not compilations
        together = jax.jit(lambda inputs: [jax.value_and_grad(space.compile(one), allow_int=True)(inputs) for one in candidates])(
            inputs
        )
        for (value, gradient), (wanted, slope) in zip(found, together, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-6)
            for name in inputs:
                for array, other in zip(jax.tree.leaves(gradient[name].arrays), jax.tree.leaves(slope[name].arrays), strict=True):
                    np.testing.assert_allclose(array, other, rtol=1e-3, atol=1e-5)

    def test_what_cannot_be_read_is_one_line(self, space):
        with pytest.raises(UserError) as error:
            space.parse("no such loss (")
        assert "\n" not in str(error.value)


# --- tasks ---------------------------------------------------------------------------------------------------------------------


def _registered(name, folder):
    settings = TASKS[name].settings
    options = {"model_options": {"features": (8,)}} if name == "classification" else {}
    if name == "retrieval":
        random, identities = np.random.default_rng(0), np.repeat(np.arange(12), 4)
        images = random.integers(0, 256, (48, 8, 8, 1)).astype(np.uint8)
        np.savez(folder / "images.npz", images=images, identities=identities)
        options = {
            "source": "npz:images.npz",
            "source_options": {"camera_key": "", "split_key": ""},
            "image_size": (0, 0),
            "model": "embedding_cnn",
            "model_options": {"features": (4,), "embedding_size": 8},
            "augmentation": "none",
            "identities_per_batch": 4,
            "images_per_identity": 2,
        }
    return TASKS[name].make(settings(**options), TaskContext(data_dir=str(folder), batch_size=8))


OUTSIDE = {"a line (outside)": a_line, "two branches (outside)": two_branches}


@pytest.fixture(scope="module", params=[*TASKS, *OUTSIDE])
def task(request, tmp_path_factory):
    if request.param in OUTSIDE:
        return OUTSIDE[request.param]()
    return _registered(request.param, tmp_path_factory.mktemp("data"))


class TestTasks:
    def test_it_is_what_a_task_has_to_be(self, task):
        reads = {name: [one for one in ("prediction", "cosine", "target") if one in names] for name, names in task.offers.items()}
        inputs = check_task(task, batch_size=8, reads=reads, num_samples=5)
        assert inputs.keys() == task.offers.keys()

    def test_another_division_holds_other_examples_of_the_same_shapes(self, task):
        other = on_division(task, 1)
        for split in (TRAIN, SEARCH_EVAL):
            pairs = zip(jax.tree.leaves(task.data[split]), jax.tree.leaves(other.data[split]), strict=True)
            assert not all(np.array_equal(one, two) for one, two in pairs), split

    def test_its_problems_are_those_of_its_branches(self, task):
        variables = task.init(jax.random.key(0))
        for make in task.problems.values():
            problems = make(variables, task.data[TRAIN], jax.random.key(1), 5)
            assert problems.keys() == task.offers.keys()
            for problem in problems.values():
                metrics = problem.metrics(problem.start)
                assert metrics.shape == (5,)
                assert np.all((metrics >= 0) & (metrics <= 1))

    def test_a_training_is_scored_on_every_part_and_is_compiled_once(self, task):
        space = _space_for(task)
        factory = ExecutionFactory(task, TrainingSettings(batch_size=8, num_epochs=1.0))
        execution = factory.make(choose(SERIAL, 0, None, [], factory)[0])
        encoded = [space.encode(draw(space, seed)) for seed in range(3)]
        trials = [Trial(space, one, 1e-3, 0, 0, SEARCH_EVAL, num_steps=2) for one in encoded]
        first = [outcome for outcome, _ in execution.run(trials[:1])]
        with counted() as compilations:
            rest = [outcome for outcome, _ in execution.run(trials[1:])]
        assert not compilations
        (test,) = [outcome for outcome, _ in execution.run([Trial(space, encoded[0], 1e-3, 0, 0, TEST, num_steps=2)])]
        execution.close()
        for outcome in [*first, *rest, test]:
            if outcome.finite:
                assert 0 <= outcome.score <= 1
                assert {task.metric, *task.also_shown} <= outcome.scores.keys()


def _space_for(task):
    if "cosines" in task.problems:
        return jaxloss.make_space("autoloss_gms", branch=next(iter(task.offers)))
    return jaxloss.make_space("autoloss_zero", branches=tuple(task.offers), branch_weights=(1.0,) * len(task.offers))


# --- filters -------------------------------------------------------------------------------------------------------------------

SETTINGS = FilterSettings(width=8, rejection=RejectionSettings(iterations=20, minimum_gain=0.2))


@functools.cache
def _listed(name):
    """The branch and the filters of a space, on a small problem that suits it."""
    space = SPACES[name]()
    (branch,) = space.branches
    cosines = space.problems == ("cosines",)
    problem = toy_problem(jax.random.key(0), 8, 4) if cosines else classification_problem()
    example = space.sample(np.random.default_rng(0), branch)
    context = FilterContext(branch, lambda name: problem, SETTINGS, example)
    filters = list((space.make_filters or standard_filters)(context))
    return space, branch, [*filters, *([] if cosines else [order(context)])]


@pytest.mark.parametrize("name", SPACES)
class TestFilters:
    def test_each_is_what_a_filter_has_to_be(self, name):
        _, _, filters = _listed(name)
        check_names(filters)
        for one in filters:
            check_filter(one.name, one)

    def test_each_gives_reasons_that_it_declares_and_the_same_answer_alone_and_among_others(self, name):
        space, branch, filters = _listed(name)
        random = np.random.default_rng(3)
        known = {branch.form.key(one): one for one in (space.sample(random, branch) for _ in range(12))}
        expressions = [branch.form.canonical(one) for one in known.values()]
        before, memory = [Screened()] * len(expressions), LossMemory()
        for one in sorted(filters, key=lambda one: one.cost):
            together = one.check(expressions, before, memory)
            with counted() as compilations:
                alone = [
                    one.check([expression], [state], memory)[0] for expression, state in zip(expressions, before, strict=True)
                ]
            assert not compilations, one.name
            for found, wanted in zip(alone, together, strict=True):
                assert found.verdict.reason is wanted.verdict.reason
                assert (found.signature, found.sketch) == (wanted.signature, wanted.sketch)
                assert found.verdict.reason is ACCEPTED or found.verdict.reason in one.reasons
            going_on = [place for place, one in enumerate(together) if one.verdict is UNDECIDED]
            expressions, before = ([rows[place] for place in going_on] for rows in (expressions, together))
            if not expressions:
                break

    def test_a_cascade_of_them_answers_in_the_order_of_the_questions(self, name):
        space, branch, filters = _listed(name)
        cascade = Cascade(branch.name, branch.form, filters)
        random = np.random.default_rng(4)
        expressions = [space.sample(random, branch) for _ in range(8)]
        forwards = cascade.screen(expressions, LossMemory())
        backwards = Cascade(branch.name, branch.form, filters).screen(expressions[::-1], LossMemory())
        assert [one.verdict.reason for one in forwards] == [one.verdict.reason for one in backwards[::-1]]


# --- searches ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEARCHES)
class TestSearches:
    def make(self, name, space, generation_size=3):
        kind = SEARCHES[name]
        settings = None if kind.settings_class is None else kind.settings_class()
        return kind(space, 0, generation_size, settings, [])

    def test_proposals_can_be_drawn_again_at_any_time(self, name, space):
        one, other = self.make(name, space), self.make(name, space)
        for number in range(4):
            texts = []
            for search in (one, other):
                proposals = search.ask()
                assert [proposal.number for proposal in proposals] == [3 * number + place for place in range(3)]
                drawn = [
                    space.write({branch.name: search.draw(proposal, branch, 0)[0] for branch in space.branches})
                    for proposal in proposals
                ]
                texts.append(drawn)
                for proposal, text in zip(proposals, drawn, strict=True):
                    search.tell(Individual(proposal.number, text, 0.1 * (proposal.number % 7), True))
            assert texts[0] == texts[1]
        assert [individual.score for individual in one.best()] == sorted(
            (individual.score for individual in one.individuals), reverse=True
        )

    def test_results_come_in_order_and_a_stopped_training_is_never_the_best(self, name, space):
        search = self.make(name, space)
        text = space.write(draw(space, 0))
        with pytest.raises(ValueError, match="expected the result of proposal 0"):
            search.tell(Individual(1, text, 0.5, True))
        for number, score in enumerate((None, 0.2, None, 0.4)):
            search.tell(Individual(number, text, score, True))
        assert [individual.number for individual in search.best()] == [3, 1]
        assert len(search.population) == 4


# --- executions ----------------------------------------------------------------------------------------------------------------

needs_devices = pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")


@pytest.mark.parametrize(
    "mode", [SERIAL, VMAP, pytest.param(PMAP, marks=needs_devices), pytest.param(DATA_PARALLEL, marks=needs_devices)]
)
def test_an_execution_gives_results_in_the_order_of_the_trials_and_compiles_once(mode):
    fast = TASKS["fast"]
    task = fast.make(fast.settings(size=40), TaskContext())
    factory = ExecutionFactory(task, TrainingSettings(batch_size=8, num_epochs=2.0))
    space = SPACES["polynomials (outside)"]()
    trials = [Trial(space, space.encode(draw(space, seed)), 0.1, seed, 0, SEARCH_EVAL) for seed in range(5)]
    execution = factory.make(choose(mode, 2, None, trials, factory)[0])
    found = [outcome.score for outcome, _ in execution.run(trials)]
    with counted() as compilations:
        backwards = [outcome.score for outcome, _ in execution.run(trials[::-1])]
    assert not compilations
    execution.close()
    np.testing.assert_allclose(found, backwards[::-1], atol=0.03)
    assert set(execution.compilations.values()) == {1}
