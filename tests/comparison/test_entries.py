"""The ranking of a summary: an entry for each loss, under its shortest formula, with the scores of the one that was trained."""

import types

from jaxloss.spaces.output_gradients import OutputGradients
from jaxloss.study.comparison import TestResult as Result  # pytest would collect it by its own name
from jaxloss.study.contender import FOUND, Contender, TuningPoint
from jaxloss.study.entries import NUM_ENTRIES, ranking_entries
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.study.ranking import Ranked
from jaxloss.tasks.fast import make_fast
from tests.comparison.pretence import SPACE

EQUAL = EqualLosses(OutputGradients(SPACE, make_fast().output_samples()))
SHORT, MIDDLE = "Neg(Mul(target, prediction))", "Neg(Mul(Abs(target), prediction))"
LONG = f"Add(prediction, {SHORT})"
OTHER, OTHER_TOO = "Neg(Mul(target, Log(prediction)))", "Add(1, Neg(Mul(target, Log(prediction))))"
THIRD = "Neg(Mul(target, Square(prediction)))"


def found_by(*texts):
    """A search whose best are these, one worse than the other."""
    best = [types.SimpleNamespace(text=text, score=0.9 - 0.01 * place) for place, text in enumerate(texts)]
    return types.SimpleNamespace(search=types.SimpleNamespace(best=lambda: iter(best)))


def ranked(text, score, same_as=None):
    return Ranked(Contender(text, FOUND, SPACE, text), score, same_as)


def tuned(text, rate):
    return Result(Contender(text, FOUND, SPACE, text), TuningPoint(rate), 0.5, {})


LOOP = found_by(OTHER, LONG, MIDDLE, SHORT, OTHER_TOO, THIRD)
RANKED = [ranked(LONG, 0.8), ranked(MIDDLE, 0.79, LONG), ranked(OTHER, 0.78)]


def test_a_loss_is_one_entry_under_its_shortest_formula():
    """SHORT was never trained again, nor was OTHER_TOO: they are in the entries of the losses that they are."""
    entries = ranking_entries(LOOP, RANKED, [], EQUAL)
    assert [(one["rank"], one["formula"], one["trained"], one["merged"]) for one in entries] == [
        (1, SHORT, LONG, 3),
        (2, OTHER, OTHER, 2),
        (3, THIRD, THIRD, 1),
    ]
    assert [(one["search_eval"], round(one["search_score"], 2)) for one in entries] == [(0.8, 0.89), (0.78, 0.9), (None, 0.85)]


def test_the_tuned_come_first_in_their_own_order():
    entries = ranking_entries(LOOP, RANKED, [tuned(OTHER, 0.1), tuned(LONG, 0.2)], EQUAL)
    assert [one["trained"] for one in entries] == [OTHER, LONG, THIRD]
    assert [one["tuned"] and one["tuned"]["learning_rate"] for one in entries] == [0.1, 0.2, None]


def test_equal_scores_merge_but_choose_no_formula():
    entries = ranking_entries(LOOP, RANKED, [], None)
    assert [(one["formula"], one["merged"]) for one in entries] == [
        *((LONG, 2), (OTHER, 1)),
        *((text, 1) for text in (SHORT, OTHER_TOO, THIRD)),
    ]


def test_there_are_so_many_entries_and_all_that_were_ranked():
    texts = [f"Neg(Mul(target, {'Exp(' * depth}prediction{')' * depth}))" for depth in range(NUM_ENTRIES + 4)]
    assert len(ranking_entries(found_by(*texts), [ranked(texts[0], 0.5)], [], None)) == NUM_ENTRIES
    assert len(ranking_entries(found_by(*texts), [ranked(text, 0.5) for text in texts], [], None)) == len(texts)
