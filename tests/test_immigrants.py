"""Who becomes a parent, and how many proposals have none, beyond the letter of regularised evolution."""

import numpy as np

from jaxloss.search.base import Individual
from jaxloss.search.evolution import Evolution
from jaxloss.search.settings import EvolutionSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero

SPACE = autoloss_zero()
LOSS = "Neg(Mul(target, prediction))"


def told(num=40, **settings):
    """A search that was told of individuals, every second of which took over a score."""
    search = Evolution(SPACE, 0, settings=EvolutionSettings(initial_population=1, **settings))
    for number in range(num):
        search.tell(Individual(number, LOSS, 0.5, trained=number % 2 == 0, trainings=1 - number % 2))
    return search


def test_random_immigrants_come_throughout_the_search():
    for share, low, high in ((0.0, 0.0, 0.0), (0.25, 0.2, 0.3), (1.0, 1.0, 1.0)):
        search = told(immigrants=share)
        assert low <= np.mean([not search.propose(number).parents for number in range(40, 640)]) <= high


def test_individuals_without_a_training_need_not_breed():
    assert [one.number for one in told().population] == list(range(40))
    own = told(equivalents_breed=False, population_size=5)
    assert [one.number for one in own.population] == [30, 32, 34, 36, 38]
    assert {own.propose(number).parents[0] % 2 for number in range(40, 80)} == {0}
