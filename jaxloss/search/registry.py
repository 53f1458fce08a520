"""Search algorithms by name. A new one is a subclass of `Search` and one line here."""

from jaxloss.search.base import Search
from jaxloss.search.evolution import Evolution
from jaxloss.search.generations import Generations
from jaxloss.search.random_search import RandomSearch

SEARCHES: dict[str, type[Search]] = {
    "evolution": Evolution,
    "generations": Generations,
    "random_search": RandomSearch,
}
