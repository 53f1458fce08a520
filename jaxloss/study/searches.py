"""The searches of a run, one after the other, and what of all that they found takes part in the comparison."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxloss.search.base import FruitlessSearchError
from jaxloss.search.loop import SearchLoop
from jaxloss.search.restarts import LEFT_OUT, label_of
from jaxloss.study.contender import Contender
from jaxloss.study.experiment import Experiment
from jaxloss.study.ranking import Ranked, different


class Searched(NamedTuple):
    """A search that has spent its budget.

    Attributes:
      loop: of the search.
      ranked: the best of its candidates, ranked again on fresh seeds.
      taking_part: those that are compared, best first.
    """

    loop: SearchLoop
    ranked: Sequence[Ranked]
    taking_part: Sequence[Contender]


def run_searches(experiment: Experiment, name: str, kind: str, stage: str) -> list[Searched]:
    """Searches as often as the config says, and ranks the best candidates of each search.

    A later search that comes to nothing is left out, with a message.

    Raises:
      UserError: the first search comes to nothing.
    """
    number, archive, done = experiment.config.search.restarts, experiment.run.archive, []
    for restart in range(number):
        try:
            loop = experiment.search(name, restart)
            ranked = experiment.rank(loop, kind, stage, f"{restart + 1}." if number > 1 else "")
        except FruitlessSearchError as error:
            if not restart:
                raise
            label = label_of(name, restart)
            archive.commit(state={LEFT_OUT: {**(archive.state(LEFT_OUT) or {}), label: str(error)}})
            experiment.progress.message(f"{label} is left out: {error}")
        else:
            done.append(Searched(loop, ranked, _new(experiment, ranked, done)))
    if archive.state(label_of(name, number)) is not None:
        experiment.progress.message(
            f"the archive has more searches than search.restarts={number}: they stay in it, and take no part"
        )
    return done


def _new(experiment: Experiment, ranked: Sequence[Ranked], done: Sequence[Searched]) -> list[Contender]:
    """The best of a search that none before it has found, in whatever dress: of every search equally many, if it has them."""
    taken = [one for searched in done for one in searched.taking_part]
    listed = [*taken, *different(ranked)]
    formulas, equal = [one.identity for one in listed], experiment.equal_losses
    # A single search has been rid of its copies.
    firsts = equal.firsts(formulas) if taken and equal is not None else [formulas.index(one) for one in formulas]
    new = [one for place, one in enumerate(listed) if firsts[place] == place >= len(taken)]
    return new[: experiment.config.comparison.num_found]
