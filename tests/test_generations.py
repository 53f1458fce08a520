"""Generational search: whose offspring are proposed, which of a generation are kept, and how it is taken up again."""

import collections

import numpy as np
import pytest

from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.core.errors import UserError
from jaxloss.core.verdicts import ACCEPTED, Reason, Verdict
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.equivalence import Known, LossMemory
from jaxloss.graphs.formula import parse
from jaxloss.search.base import SEED_ORIGIN, Individual
from jaxloss.search.generations import Generations
from jaxloss.search.selection import select
from jaxloss.search.settings import GenerationsSettings
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.errors import user_error

SPACE = autoloss_zero()
(BRANCH,) = SPACE.branches
SEED = SPACE.parse("Neg(Mul(target, Log(prediction)))")
EVEN = Reason("even", "has an even number of nodes")


class BySize:
    """A filter that stops graphs of an even number of nodes, and promises the more the fewer operators one has."""

    name, title, cost, remembers, compilations, reasons = "size", "a look at the size", Cost.CALL, True, 0, (EVEN,)

    def check(self, expressions, known, memory):
        del known, memory
        return [self.judge(expression) for expression in expressions]

    def judge(self, graph):
        verdict = Verdict(ACCEPTED, -float(graph.num_operators)) if len(graph.nodes) % 2 else Verdict(EVEN)
        return Screened(verdict, signature=str(graph.num_operators), sketch="s")


def generations(seeds=(SEED,), size=30, **settings):
    return Generations(SPACE, 0, size, GenerationsSettings(**settings), list(seeds))


def selected(search, proposals, memory=None, filters=None, max_attempts=1_000, message=lambda text: None):
    cascade = Cascade(BRANCH.name, BRANCH.form, filters or [BySize()])
    return select(search, proposals, {BRANCH.name: cascade}, memory or LossMemory(), max_attempts, message)


def tell(search, scores, promises=None, first=None):
    promises = promises or [None] * len(scores)
    for score, promise in zip(scores, promises, strict=True):
        text = first or f"Mul({len(search.individuals)}, prediction)"
        search.tell(Individual(len(search.individuals), text, score, True, promise=promise))


def test_the_seeds_are_generation_zero_and_the_parents_of_the_first():
    search = generations()
    (seed,) = search.ask()
    assert (seed.number, seed.given) == (0, SEED)
    assert search.draw(seed, BRANCH, 0) == (SEED[BRANCH.name], SEED_ORIGIN)
    tell(search, [0.5], first=SPACE.write(SEED))
    offspring = search.ask()
    assert [one.number for one in offspring] == list(range(1, 31))
    assert {one.parents for one in offspring} == {(0,)}
    assert {SPACE.write(candidate) for one in offspring for candidate in one.parent_candidates} == {SPACE.write(SEED)}


def test_the_best_of_a_generation_are_the_parents_of_the_next_and_no_others():
    search = generations(seeds=(), parents=2)
    search.ask()
    tell(search, [0.1, 0.9, None, 0.8, 0.7])
    parents = collections.Counter(one.parents[0] for one in search.ask())
    assert parents.keys() == {1, 3}
    assert abs(parents[1] - 15) < 4 * np.sqrt(30 / 4)
    # A better loss of an earlier generation is a parent no more, and one without a score never is.
    tell(search, [0.2, 0.3, None])
    assert {one.parents[0] for one in search.ask()} == {5, 6}
    tell(search, [None, None])
    assert {one.parents[0] for one in search.ask()} == {5, 6}


def test_draws_of_numbers_that_are_given_again_differ():
    search = generations()
    search.ask()
    tell(search, [0.5], first=SPACE.write(SEED))
    first = search.ask()
    # Nothing but the first of them is kept, an offspring that is the seed once more.
    tell(search, [0.5], first=SPACE.write(SEED))
    second = search.ask()
    assert [one.number for one in second[:29]] == [one.number for one in first[1:]]
    drawn = [[str(search.draw(one, BRANCH, 0)[0]) for one in rows] for rows in (second[:29], first[1:])]
    assert sum(one == other for one, other in zip(*drawn, strict=True)) < 10


def test_the_bar_is_what_the_best_by_its_score_had_promised():
    search = generations(seeds=())
    assert search.least_promise is None
    search.ask()
    tell(search, [0.3, 0.9, 0.5], [0.8, 0.6, 0.7])
    search.ask()
    assert search.least_promise == 0.6
    # Where nothing is known of the best, the bar stays.
    tell(search, [0.4])
    search.ask()
    assert search.least_promise == 0.6
    for settings, bar in (({"slack": 0.25}, 0.35), ({"threshold": False}, None)):
        other = generations(seeds=(), **settings)
        other.restore(search.state())
        assert other.least_promise == (bar if bar is None else pytest.approx(bar))


def test_a_search_is_taken_up_where_its_state_was_stored():
    def told(search, number):
        search.ask()
        for one in range(number):
            tell(search, [0.1 * one], [0.5 + 0.1 * one])

    one, other = generations(seeds=()), generations(seeds=())
    told(one, 4)
    told(one, 3)
    state = one.state()
    other.restore(state)
    for individual in one.individuals:
        other.tell(individual)
    assert other.ask() == one.ask()
    assert other.state() == one.state()


# --- the selection -------------------------------------------------------------------------------------------------------------


def started(**settings):
    search = generations(size=60, **settings)
    search.ask()
    tell(search, [0.5], [-3.0], first=SPACE.write(SEED))
    return search


def test_the_most_promising_are_kept_best_first():
    search = started(kept=3, threshold=False)
    proposals = search.ask()
    drawn = [search.draw(one, BRANCH, 0)[0] for one in proposals]
    passing = sorted({one.num_operators for one in map(BRANCH.form.canonical, drawn) if len(one.nodes) % 2})
    found = selected(search, proposals)
    assert [one.number for one in found] == [1, 2, 3]
    kept = [parse(one.text, BRANCH.form.layout.operators, BRANCH.form.inputs) for one in found]
    assert [BRANCH.form.canonical(one).num_operators for one in kept] == passing[:3]
    assert all(one.parent == 0 for one in found)
    assert [attempt.gain for one in found for attempt in one.attempts if attempt.reason == "accepted"] == [
        -n for n in passing[:3]
    ]


def test_every_draw_is_counted_once():
    search = started(kept=2, threshold=False)
    found = selected(search, search.ask())
    first, second = found
    reasons = collections.Counter(attempt.reason for attempt in first.attempts)
    assert reasons["accepted"] == len(second.attempts) == 1
    assert reasons.keys() == {"accepted", "even", "equivalent_in_generation", "not_kept"}
    assert reasons.total() + len(second.attempts) == 60
    numbers = [attempt.number for one in found for attempt in one.attempts]
    assert len(set(numbers)) == 60


def test_a_loss_that_promises_too_little_is_not_kept():
    search = started(kept=50)
    found = selected(search, search.ask())
    assert search.least_promise == -3.0
    operators = [parse(one.text, BRANCH.form.layout.operators, BRANCH.form.inputs).merged().num_operators for one in found]
    assert max(operators) <= 3
    assert "below_the_best" in {attempt.reason for attempt in found[0].attempts}


def test_what_is_equivalent_to_a_trained_loss_takes_no_place():
    search, memory = started(kept=1, threshold=False), LossMemory()
    proposals = search.ask()
    (best,) = [one.signatures[BRANCH.name] for one in selected(search, proposals)]
    memory.remember_trained({BRANCH.name: best}, Known(0, 0.5))
    found = selected(search, proposals, memory)
    signatures = [one.signatures[BRANCH.name] for one in found]
    assert signatures[1:] == [best]
    assert signatures[0] != best
    # It is told what the trained one had promised.
    assert found[1].attempts[-1].gain == -3.0


def test_more_are_drawn_where_nothing_new_passes():
    search = started(kept=1, threshold=False)
    proposals = search.ask()[:2]
    found = selected(search, proposals, filters=[_StopsFirst(5)])
    assert max(attempt.number for one in found for attempt in one.attempts) >= 4
    with pytest.raises(UserError, match=r"no new loss of a generation passed the filters in 100 draws: 100 even") as error:
        selected(search, proposals, filters=[_StopsFirst(10**6)], max_attempts=100)
    assert "\n" not in str(error.value)


class _StopsFirst(BySize):
    """Stops the first so many expressions, whatever they are."""

    remembers = False

    def __init__(self, count):
        self.left = count

    def judge(self, graph):
        self.left -= 1
        return Screened(Verdict(EVEN) if self.left >= 0 else Verdict(ACCEPTED, 0.0), str(graph), "s")


def test_a_seed_that_does_not_pass_is_named():
    search, said = generations(seeds=(SEED, SPACE.parse("prediction"))), []
    found = selected(search, search.ask(), filters=[_Stops("prediction")], message=said.append)
    assert [one.text for one in found] == [SPACE.write(SEED)]
    assert said == ["the seed 'prediction' was rejected: even"]
    search = generations(seeds=(SPACE.parse("prediction"),))
    with pytest.raises(UserError, match=r"none of the losses in search.seeds passes the filters \(1 even\)"):
        selected(search, search.ask(), filters=[_Stops("prediction")])


class _Stops(BySize):
    def __init__(self, text):
        self.text = text

    def judge(self, graph):
        return Screened(Verdict(EVEN) if str(graph) == self.text else Verdict(ACCEPTED, 1.0), str(graph), "s")


def test_branches_are_judged_together():
    space = autoloss_zero(AutoLossZeroSettings(branches=("a", "b"), branch_weights=(1.0, 1.0)))
    search = Generations(space, 0, 40, GenerationsSettings(kept=3, threshold=False), [])
    cascades = {branch.name: Cascade(branch.name, branch.form, [BySize()]) for branch in space.branches}
    found = select(search, search.ask(), cascades, LossMemory(), 1_000)
    assert {len(one.signatures) for one in found} == {2}
    promises = [min(a.gain for a in one.attempts if a.reason == "accepted") for one in found]
    assert promises == sorted(promises, reverse=True)
    draws = sum(len(one.attempts) + sum(one.structural.values()) for one in found)
    assert draws == 80
    assert found[0].structural["other_branch"] > 0


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"search.seeds": "('gious',)"}, "in search.seeds, for the branch regression, 'gious'. Did you mean 'giou'?"),
        ({"search.seeds": "('Neg(',)"}, "config key search.seeds: bad formula"),
        ({"space.cse_autoloss.fixed_loss": "sigmoid_focl"}, "'sigmoid_focl'. Did you mean 'sigmoid_focal'?"),
    ],
)
def test_a_mistake_in_a_search_is_one_line(overrides, says):
    with user_error(says):
        make_plan(load_config("tests/configs/tiny_boxes.py", overrides))


def test_a_generation_of_which_all_are_kept_is_remarked():
    (remark,) = make_plan(load_config("tests/configs/tiny_boxes.py", {"search.generations.kept": "50"})).remarks
    assert remark.startswith("search.generations.kept=50: a generation has 40 losses")
    assert not make_plan(load_config("tests/configs/tiny_boxes.py")).remarks
