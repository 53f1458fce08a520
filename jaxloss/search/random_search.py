"""Random search: every proposal is a fresh random candidate. The control for any other search."""

from jaxloss.search.base import Proposal, Search


class RandomSearch(Search):
    """Uses the same filters and the same budget as the search that it is compared with."""

    name = "random_search"

    def propose(self, number: int) -> Proposal:
        """See `Search.propose`."""
        return Proposal(number)
