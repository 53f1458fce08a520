"""Who becomes a parent, in which order proposals come, and how a candidate of several branches is put together."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.config import default_config, wiring
from jaxloss.config.seeds import given_seeds
from jaxloss.core.errors import UserError
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import LossInputs
from jaxloss.core.verdicts import ACCEPTED
from jaxloss.filters.contents import missing
from jaxloss.filters.equivalence import Known, LossMemory, joint_signature
from jaxloss.filters.rejection import NO_METRIC_GAIN
from jaxloss.search.base import RANDOM_ORIGIN, SEED_ORIGIN, Individual
from jaxloss.search.evolution import Evolution
from jaxloss.search.random_search import RandomSearch
from jaxloss.search.screening import Resolved, resolve
from jaxloss.search.settings import EvolutionSettings
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.problems import make_cascade

SPACE = autoloss_zero()
PAIR = autoloss_zero(AutoLossZeroSettings(("classification", "second"), (1.0, 10.0)))
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"


def tell_all(search, scores, trained=True):
    for number, score in enumerate(scores):
        search.tell(Individual(number, f"Add(target, Mul(prediction, {number}))", score, trained))


def parents(search, numbers):
    return {search.propose(number).parents[0] for number in numbers}


def evolution(space=SPACE, seed=0, **settings):
    seeds, generation_size = settings.pop("seeds", ()), settings.pop("generation_size", 1)
    return Evolution(space, seed, generation_size, EvolutionSettings(**{"initial_population": 4, **settings}), seeds)


# --- evolution ---------------------------------------------------------------------------------------------------------------


def test_the_first_individuals_are_random():
    search = evolution(initial_population=3)
    for number in range(3):
        (proposal,) = search.ask()
        assert (proposal.number, proposal.parents, proposal.parent_candidates) == (number, (), ())
        _, origin = search.draw(proposal, SPACE.branches[0], 0)
        assert origin == RANDOM_ORIGIN
        search.tell(Individual(number, CROSS_ENTROPY, 0.1, True))
    (proposal,) = search.ask()
    assert proposal.parents[0] in range(3)
    assert SPACE.write(proposal.parent_candidates[0]) == CROSS_ENTROPY


def test_a_full_tournament_picks_the_best():
    search = evolution(tournament_ratio=1.0)
    tell_all(search, [0.2, 0.9, 0.4, 0.9, None])
    assert parents(search, range(5, 30)) == {1}  # the earlier one of two equals


def test_a_tournament_picks_the_best_of_the_drawn_part():
    """Of ten a fifth is drawn: the worst can never win, and the best wins a fifth of the time."""
    search = evolution(tournament_ratio=0.2)
    tell_all(search, [number / 10 for number in range(10)])
    won = [search.propose(number).parents[0] for number in range(10, 2010)]
    assert set(won) == set(range(1, 10))
    assert np.mean(np.array(won) == 9) == pytest.approx(0.2, abs=0.03)
    assert np.mean(np.array(won) == 1) == pytest.approx(1 / 45, abs=0.012)


def test_a_stopped_training_loses_every_tournament():
    search = evolution(tournament_ratio=0.5)
    tell_all(search, [None, 0.1, None, 0.2])
    assert parents(search, range(4, 200)) == {0, 1, 3}  # 0 wins only against 2, as the earlier one


def test_only_the_most_recent_may_become_parents():
    search = evolution(population_size=5, tournament_ratio=0.2)
    tell_all(search, [0.9] * 10 + [0.1] * 5)
    assert [one.number for one in search.population] == list(range(10, 15))
    assert parents(search, range(15, 200)) == set(range(10, 15))


def test_five_percent_of_a_small_population_is_one():
    search = evolution(tournament_ratio=0.05)
    tell_all(search, [0.1, 0.9, 0.2, 0.3])
    assert parents(search, range(4, 100)) == {0, 1, 2, 3}


def test_seeds_come_first_and_are_drawn_again_if_they_fail():
    seeds = [SPACE.parse(text) for text in (CROSS_ENTROPY, "Mul(prediction, target)")]
    search = evolution(seeds=seeds)
    branch = SPACE.branches[0]
    for number in range(2):
        (proposal,) = search.ask()
        assert search.draw(proposal, branch, 0) == (seeds[number][branch.name], SEED_ORIGIN)
        second, origin = search.draw(proposal, branch, 1)
        assert origin == RANDOM_ORIGIN
        # What is drawn after a failed seed is what would have been drawn without one.
        assert second == evolution().draw(evolution().propose(number), branch, 0)[0]
        search.tell(Individual(number, CROSS_ENTROPY, 0.5, True))
    assert search.ask()[0].given is None


def test_more_seeds_than_the_initial_population_are_all_proposed():
    search = evolution(initial_population=1, seeds=[SPACE.parse(CROSS_ENTROPY)] * 3)
    tell_all(search, [0.5] * 2)
    assert search.ask()[0].given is not None


def test_a_generation_is_drawn_from_one_population():
    search = evolution(generation_size=3, tournament_ratio=1.0)
    tell_all(search, [0.1, 0.2, 0.9, 0.3])
    proposals = search.ask()
    assert [proposal.number for proposal in proposals] == [4, 5, 6]
    assert {proposal.parents for proposal in proposals} == {(2,)}


# --- ask and tell ------------------------------------------------------------------------------------------------------------


def test_results_must_come_in_the_order_of_the_proposals():
    search = evolution()
    with pytest.raises(ValueError, match="proposal 0, not of 1"):
        search.tell(Individual(1, CROSS_ENTROPY, 0.5, True))


def test_the_best_are_trained_ones_with_a_score():
    search = evolution()
    search.tell(Individual(0, "a", 0.5, True))
    search.tell(Individual(1, "b", 0.9, False))  # took over a score
    search.tell(Individual(2, "c", None, True))
    search.tell(Individual(3, "d", 0.7, True))
    search.tell(Individual(4, "e", 0.7, True))
    assert [one.number for one in search.best()] == [3, 4, 0]


def test_draws_follow_from_seed_proposal_branch_and_attempt():
    def draw(seed, number, branch, attempt):
        search = evolution(PAIR, seed)
        return str(search.draw(search.propose(number), PAIR.branches[branch], attempt)[0])

    places = list(itertools.product((0, 1), (0, 1, 2), (0, 1), (0, 1, 2)))
    drawn = [draw(*place) for place in places]
    assert drawn == [draw(*place) for place in places]
    assert len(set(drawn)) > 0.8 * len(drawn)


def test_random_search_is_the_same_stream_without_parents():
    control, search = RandomSearch(SPACE, 3), evolution(seed=3, initial_population=5)
    branch = SPACE.branches[0]
    for number in range(5):
        one, other = control.propose(number), search.propose(number)
        assert [control.draw(one, branch, i) for i in range(4)] == [search.draw(other, branch, i) for i in range(4)]
    tell_all(control, [0.5] * 20)
    assert not control.ask()[0].parents


# --- from proposals to candidates --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cascades():
    return {branch.name: make_cascade(branch=branch, iterations=60, learning_rate=0.01) for branch in PAIR.branches}


def resolved_by(cascades, batch=16, max_attempts=20_000, space=PAIR, numbers=range(3), **settings):
    search = evolution(space, **settings)
    chosen = {branch.name: cascades[branch.name] for branch in space.branches}
    return resolve(search, [search.propose(number) for number in numbers], chosen, LossMemory(), batch, max_attempts)


def test_every_branch_is_drawn_until_it_passes(cascades):
    for one in resolved_by(cascades):
        assert set(PAIR.parse(one.text)) == {"classification", "second"}
        assert set(one.signatures) == {"classification", "second"}
        for branch in PAIR.branches:
            attempts = [attempt for attempt in one.attempts if attempt.branch == branch.name]
            numbers = [attempt.number for attempt in attempts]
            assert numbers == sorted(set(numbers))
            assert [attempt.reason == "accepted" for attempt in attempts] == [False] * (len(attempts) - 1) + [True]
            assert attempts[-1].formula in one.text
        # Every draw is accounted for: those that came as far as the gradient, and those that a look at the leaves stopped.
        last = {attempt.branch: attempt.number for attempt in one.attempts}
        assert len(one.attempts) + sum(one.structural.values()) == sum(last.values()) + len(last)


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_looking_ahead_changes_nothing(cascades, batch):
    assert resolved_by(cascades, batch=batch) == resolved_by(cascades, batch=16)


def test_a_resolved_proposal_survives_json(cascades):
    for one in resolved_by(cascades):
        assert Resolved.from_json(one.to_json()) == one


def test_an_end_of_patience_is_one_line(cascades):
    with pytest.raises(UserError, match=r"in 2 draws \(proposal 0, branch classification\).*filters\.max_attempts"):
        resolved_by(cascades, max_attempts=2)


def test_a_seed_that_passes_is_taken(cascades):
    text = f"classification: {CROSS_ENTROPY} | second: {CROSS_ENTROPY}"
    (one,) = resolved_by(cascades, numbers=range(1), seeds=[PAIR.parse(text)])
    assert one.text == text
    assert [attempt.origin for attempt in one.attempts] == [SEED_ORIGIN, SEED_ORIGIN]


@pytest.mark.parametrize(
    ("formula", "reason"), [("Neg(prediction)", missing(frozenset({"target"}))), ("Mul(target, prediction)", NO_METRIC_GAIN)]
)
def test_a_seed_that_is_rejected_is_named_with_the_reason(cascades, formula, reason):
    text, messages = f"classification: {CROSS_ENTROPY} | second: {formula}", []
    search = evolution(PAIR, seeds=[PAIR.parse(text)])
    (one,) = resolve(search, [search.propose(0)], cascades, LossMemory(), 16, 20_000, messages.append)
    assert messages == [f"the seed '{formula}' (branch second) was rejected: {reason.label}; random draws take its place"]
    assert one.text.startswith(f"classification: {CROSS_ENTROPY} | second: ")


def test_a_copy_of_a_trained_parent_passes_by_its_norms(cascades):
    """What the memory holds of each branch lets it pass; the two together name the score that is taken over."""
    first = resolved_by(cascades)[0]
    memory = LossMemory()
    memory.remember_trained(first.signatures, Known(0, 0.8))
    search = evolution(PAIR, seeds=[PAIR.parse(first.text)])
    (again,) = resolve(search, [search.propose(0)], cascades, memory, 4, 10)
    assert again.text == first.text
    assert [(attempt.reason, attempt.gain) for attempt in again.attempts] == [(ACCEPTED.label, None)] * 2
    assert memory.trained[joint_signature(again.signatures)] == Known(0, 0.8)


# --- several branches --------------------------------------------------------------------------------------------------------


def test_text_form_of_two_branches():
    text = f"classification: {CROSS_ENTROPY} | second: Mul(prediction, target)"
    assert PAIR.write(PAIR.parse(text)) == text
    assert PAIR.write(PAIR.parse("second:Mul(prediction,target)|classification:" + CROSS_ENTROPY)) == text
    with pytest.raises(UserError, match=r"has the form 'classification: FORMULA \| second: FORMULA'"):
        PAIR.parse(CROSS_ENTROPY)
    with pytest.raises(UserError, match=r"has the form"):
        PAIR.parse(f"{text} | second: {CROSS_ENTROPY}")


def test_every_branch_must_fit():
    tight = autoloss_zero(AutoLossZeroSettings(("classification", "second"), (1.0, 10.0), max_instructions=3))
    large = "Neg(Neg(Neg(Mul(target, Log(prediction)))))"
    for one, other, whose in ((CROSS_ENTROPY, large, "second"), (large, CROSS_ENTROPY, "classification")):
        with pytest.raises(UserError, match=rf"the formula '.*' of the branch {whose} is too large: .* holds 3 operators"):
            tight.parse(f"classification: {one} | second: {other}")


def test_the_control_needs_no_seeds():
    config = default_config()
    config.search.seeds = (CROSS_ENTROPY,)
    seeds = given_seeds(config, SPACE)
    assert wiring.make_search(config, SPACE, seeds, "evolution").seeds
    assert wiring.make_search(config, SPACE, seeds, "random_search").name == "random_search"


def test_losses_of_the_branches_are_added_with_their_weights():
    random = np.random.default_rng(0)

    def batch(size):
        prediction = jax.nn.softmax(jnp.asarray(random.normal(size=(size, 1, 1, 3)), jnp.float32))
        return LossInputs.create({"prediction": prediction, "target": jnp.eye(3)[random.integers(3, size=size)][:, None, None]})

    inputs = {"classification": batch(5), "second": batch(7)}
    candidate = PAIR.parse(f"classification: {CROSS_ENTROPY} | second: Square(Add(prediction, Neg(target)))")
    (first, second) = ({name: np.asarray(array, np.float64) for name, array in one.arrays.items()} for one in inputs.values())
    expected = -np.sum(first["target"] * np.log(first["prediction"])) / 5
    expected += 10 * np.sum((second["prediction"] - second["target"]) ** 2) / 7
    assert float(jax.jit(PAIR.loss)(PAIR.encode(candidate), inputs)) == pytest.approx(expected, rel=1e-5)
    assert float(jax.jit(PAIR.compile(candidate))(inputs)) == pytest.approx(expected, rel=1e-5)
    terms = jax.jit(PAIR.apply)(PAIR.encode(candidate), inputs)
    assert float(mean_loss(terms["second"], inputs["second"])) != pytest.approx(expected, rel=1e-2)


def test_equivalence_is_joint():
    """Known branches in a new combination make a new candidate, whatever the order in which branches are given."""
    assert joint_signature({"b": "2", "a": "1"}) == joint_signature({"a": "1", "b": "2"}) == "1 | 2"
    assert joint_signature({"a": "1", "b": "1"}) not in {joint_signature({"a": "1", "b": "2"}), "1"}


def test_keys_of_two_branches():
    one = PAIR.parse(f"classification: {CROSS_ENTROPY} | second: Mul(prediction, target)")
    swapped = PAIR.parse("classification: Neg(Mul(Log(prediction), target)) | second: Mul(target, prediction)")
    other = PAIR.parse(f"classification: Mul(prediction, target) | second: {CROSS_ENTROPY}")
    assert PAIR.key(one) == PAIR.key(swapped) != PAIR.key(other)
