"""The chooser of promising losses (Algorithm 4): when it fits, and what it chooses."""

import dataclasses

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.systems.autoloss_gms.predictor.chooser import PromisingLossChooser
from jaxloss.systems.autoloss_gms.settings import ChooserSettings


class Spy:
    """A predictor that remembers what it was fitted on, and predicts what it is given."""

    def __init__(self):
        self.fits = []

    def fit(self, features, scores):
        self.fits.append((list(features), list(scores)))
        return len(self.fits)

    def chooser(self, **settings):
        return PromisingLossChooser(ChooserSettings(**settings), self.fit, lambda state, features: features)


def test_the_papers_numbers():
    assert dataclasses.astuple(ChooserSettings()) == (100, 100, 10, False)


def test_algorithm_4_step_by_step():
    """E_0 = 4, Delta E = 3, N_p = 2; every proposed candidate passes the filters."""
    spy = Spy()
    chooser = spy.chooser(start_after=4, update_every=3, candidates=2)
    pool, evaluated, events = [], [], []
    for proposed in range(20):
        if chooser.needs_update(len(evaluated)):
            chooser.update(np.array(evaluated), evaluated)
            events.append(f"fit on {chooser.fitted_rows}")
        pool.append(float(proposed if proposed % 2 else -proposed))
        if len(pool) == chooser.num_candidates(len(evaluated)):
            chosen = chooser.choose(np.array(pool)) if chooser.active(len(evaluated)) else 0
            evaluated.append(pool[chosen])
            events.append(int(abs(pool[chosen])))
            pool = []
    assert events == [0, 1, 2, 3, "fit on 4", 5, 7, 9, "fit on 7", 11, 13, 15, "fit on 10", 17, 19]
    assert spy.fits[0] == ([0, 1, -2, 3], [0, 1, -2, 3])
    assert len(spy.fits) == 3


def test_one_fit_while_the_number_of_evaluations_stands_still():
    spy = Spy()
    chooser = spy.chooser(start_after=2, update_every=2)
    assert [chooser.active(e) for e in range(4)] == [False, False, True, True]
    assert [chooser.rows_to_fit(e) for e in range(7)] == [0, 0, 2, 2, 4, 4, 6]
    assert not chooser.needs_update(1)
    for _ in range(3):
        if chooser.needs_update(2):
            chooser.update(np.arange(2), [0.1, 0.2])
    assert len(spy.fits) == 1
    assert not chooser.needs_update(3)
    assert chooser.needs_update(4)


def test_a_generation_that_jumps_over_a_fit_gives_the_same_predictor():
    """Five rows are there when the fit on four is due; the fifth is left for the next one."""
    spy = Spy()
    chooser = spy.chooser(start_after=2, update_every=2)
    chooser.update(np.arange(5), [0.0, 0.1, None, 0.3, 0.4])
    assert spy.fits == [([0, 1, 2, 3], [0.0, 0.1, None, 0.3])]
    assert not chooser.needs_update(5)


def test_a_continued_search_does_not_fit_again():
    spy = Spy()
    chooser = spy.chooser(start_after=2, update_every=2)
    chooser.restore(state=7, fitted_rows=4)
    assert not chooser.needs_update(5)
    assert chooser.needs_update(6)
    assert chooser.choose(np.array([0.1, 0.3, 0.2])) == 1
    assert spy.fits == []


def test_the_best_prediction_wins():
    chooser = Spy().chooser()
    with pytest.raises(ValueError, match="not been fitted"):
        chooser.choose(np.zeros(3))
    with pytest.raises(ValueError, match="starts after 100"):
        chooser.update(np.zeros(99), [0.0] * 99)
    chooser.restore(1, 100)
    assert chooser.choose(np.array([-3.0, -1.0, -2.0])) == 1
    assert chooser.choose(np.array([1.0, 2.0, 2.0])) == 1
    assert chooser.choose(np.array([np.nan, -5.0, np.nan])) == 1
    assert chooser.choose(np.array([np.nan, np.nan])) == 0


@pytest.mark.parametrize(("name", "value"), [("start_after", 1), ("update_every", 0), ("candidates", 0)])
def test_impossible_numbers_are_named(name, value):
    with pytest.raises(UserError, match=rf"search\.chooser\.{name} must be at least"):
        ChooserSettings(**{name: value})
