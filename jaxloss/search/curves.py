"""What the curves of a search show."""

from jaxloss.search.base import Search
from jaxloss.search.budget import Counts


def curves(search: Search, counts: Counts, score: float | None) -> dict[str, float]:
    """The values of one step, by name; `score` is that of the individual that was just trained, None where it has none."""
    fitnesses = [one.fitness for one in search.population if one.score is not None]
    best = next(search.best(), None)
    values = {"score": score}
    if fitnesses:
        values["population_mean"] = sum(fitnesses) / len(fitnesses)
    if best is not None:
        values["best"] = best.score
    return {name: value for name, value in values.items() if value is not None} | {"proposed": counts.proposed}
