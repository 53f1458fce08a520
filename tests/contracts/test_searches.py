"""What every registered search promises, in every space."""

import pytest

from jaxloss.search.base import Individual
from jaxloss.search.registry import SEARCHES
from tests.contracts.all_spaces import draw


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
