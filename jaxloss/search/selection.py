"""From a generation to those of it that are trained: every offspring goes through the filters once, and the best are kept.

Best is what the filters say of a loss that they accept, such as the metric that it reaches without a network.
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from jaxloss.core.errors import UserError
from jaxloss.core.form import Expression
from jaxloss.core.verdicts import ACCEPTED, Reason, Verdict
from jaxloss.filters.base import Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.equivalence import LossMemory, joint_signature
from jaxloss.search.base import FruitlessSearchError, Proposal, Search
from jaxloss.search.screening import Attempt, Resolved, attempt_of, most_frequent

OTHER_BRANCH = Reason("other_branch", "another branch of the same loss was stopped", leaves_row=False)
BELOW_THE_BEST = Reason("below_the_best", "promises less, by what the filters found, than the best of the generation before it")
EQUIVALENT_IN_GENERATION = Reason("equivalent_in_generation", "is equivalent to a more promising one of the same generation")
NOT_KEPT = Reason("not_kept", "others of the same generation promise more")
TITLE, REASONS = "the selection of the best of a generation", (OTHER_BRANCH, BELOW_THE_BEST, EQUIVALENT_IN_GENERATION, NOT_KEPT)


@dataclasses.dataclass
class _Offspring:
    """One individual of a generation; what its branches are, and what the filters said of them."""

    proposal: Proposal
    number: int  # of the draw
    expressions: dict[str, Expression]
    origins: dict[str, str]
    screened: dict[str, Screened] = dataclasses.field(default_factory=dict)
    promise: float = math.nan

    @property
    def stopped(self) -> Verdict | None:
        verdicts = [one.verdict for one in self.screened.values()]
        return next((verdict for verdict in verdicts if not verdict.accepted), None)

    @property
    def signature(self) -> str:
        return joint_signature({name: one.signature for name, one in self.screened.items()})


class _Generation:
    """The draws of a generation: what passed, and what became of the others."""

    def __init__(self, search: Search, cascades: Mapping[str, Cascade], memory: LossMemory):
        self._search, self._cascades, self._memory = search, cascades, memory
        self.passed: list[_Offspring] = []
        self.rejected: list[Attempt] = []
        self.structural: collections.Counter = collections.Counter()
        self.reached: collections.Counter = collections.Counter()

    def draw(self, proposals: Sequence[Proposal], attempt: int, message: Callable[[str], None]) -> None:
        """One draw of every proposal, through the filters."""
        drawn = [self._drawn(proposal, place + attempt * len(proposals), attempt) for place, proposal in enumerate(proposals)]
        for branch in self._search.space.branches:
            cascade = self._cascades[branch.name]
            for one in drawn:
                one.screened[branch.name] = Screened(cascade.look(one.expressions[branch.name]))
            left = [one for one in drawn if one.stopped is None]
            found = cascade.screen([one.expressions[branch.name] for one in left], self._memory) if left else []
            for one, screened in zip(left, found, strict=True):
                one.screened[branch.name] = screened
        for one in drawn:
            verdict = one.stopped
            if verdict is None:
                one.promise = self._promise(one)
                self.passed.append(one)
                continue
            self._reject(one, verdict.reason)
            if one.proposal.given is not None:
                text = self._search.space.write(one.expressions)
                message(f"the seed '{text}' was rejected: {verdict.reason.label}")

    def _drawn(self, proposal: Proposal, number: int, attempt: int) -> _Offspring:
        drawn = {branch.name: self._search.draw(proposal, branch, attempt) for branch in self._search.space.branches}
        expressions, origins = ({name: pair[index] for name, pair in drawn.items()} for index in (0, 1))
        return _Offspring(proposal, number, expressions, origins)

    def _promise(self, one: _Offspring) -> float:
        """What the filters found; of a loss that is equivalent to a trained one, what they found of that."""
        if one.signature in self._memory.trained:
            promise = self._search.individuals[self._memory.trained[one.signature].proposal].promise
            return math.nan if promise is None else promise
        values = [screened.verdict.value for screened in one.screened.values()]
        return math.nan if any(map(math.isnan, values)) else min(values)

    def select(self, kept: int, least: float | None) -> list[_Offspring]:
        """The most promising of the new ones, then those that are equivalent to trained ones; all others are rejected."""
        # Those of which nothing is known come last.
        ranked = sorted(self.passed, key=lambda one: (math.isnan(one.promise), -one.promise, one.number))
        chosen, known, seen = [], [], set()
        for one in ranked:
            if least is not None and one.promise < least:
                self._reject(one, BELOW_THE_BEST)
            elif one.signature in seen:
                self._reject(one, EQUIVALENT_IN_GENERATION)
            elif one.signature in self._memory.trained:
                known.append(one)
            elif len(chosen) == kept:
                self._reject(one, NOT_KEPT)
            else:
                chosen.append(one)
            seen.add(one.signature)
        self.passed = [*chosen, *known]
        return chosen

    def _reject(self, one: _Offspring, reason: Reason) -> None:
        """Counts a draw of every branch; those that came as far as a filter which leaves rows leave one."""
        self.reached[reason.label] += 1
        for branch in self._search.space.branches:
            screened = one.screened[branch.name]
            own = reason if screened.verdict.accepted and reason in REASONS else screened.verdict.reason
            own = OTHER_BRANCH if own is ACCEPTED else own
            if own.leaves_row:
                value = screened.verdict.value
                verdict = Verdict(own, value)
                screened = dataclasses.replace(screened, verdict=verdict)
                self.rejected.append(self._attempt(one, branch.name, screened))
            else:
                self.structural[own.label] += 1

    def _attempt(self, one: _Offspring, branch: str, screened: Screened) -> Attempt:
        form = self._search.space.branch(branch).form
        return attempt_of(branch, form, one.number, one.expressions[branch], one.origins[branch], screened)

    def resolved(self) -> list[Resolved]:
        """What goes on, with consecutive numbers; the first of them carries what became of all others."""
        first = len(self._search.individuals)
        return [
            Resolved(
                number=first + index,
                parent=one.proposal.parents[0] if one.proposal.parents else None,
                text=self._search.space.write(one.expressions),
                attempts=(*(() if index else self.rejected), *self._accepted(one)),
                structural={} if index else dict(self.structural),
            )
            for index, one in enumerate(self.passed)
        ]

    def _accepted(self, one: _Offspring) -> list[Attempt]:
        promise = {name: Verdict(ACCEPTED, one.promise) for name in one.screened}
        return [
            self._attempt(one, name, dataclasses.replace(screened, verdict=promise[name]))
            for name, screened in one.screened.items()
        ]


def select(
    search: Search,
    proposals: Sequence[Proposal],
    cascades: Mapping[str, Cascade],
    memory: LossMemory,
    max_attempts: int,
    message: Callable[[str], None] = lambda text: None,
) -> list[Resolved]:
    """Draws a generation, and keeps the best of it.

    Where nothing new passes, as many are drawn again.

    Args:
      search: draws the expressions; says how many are kept, and what they have to promise.
      proposals: of one generation; seeds are kept whatever they promise.
      cascades: branch name -> filters.
      memory: of the search; only read.
      max_attempts: bound on the draws of a generation.
      message: called with one line for every seed that is rejected.

    Raises:
      UserError: when so many draws brought nothing new, or no seed passes; says what stopped them.
    """
    are_seeds = proposals[0].given is not None
    generation = _Generation(search, cascades, memory)
    for attempt in range(1 if are_seeds else max(1, max_attempts // len(proposals))):
        generation.draw(proposals, attempt, message)
        if generation.select(len(proposals) if are_seeds else search.kept, None if are_seeds else search.least_promise):
            return generation.resolved()
    stopped = most_frequent(generation.reached)
    if are_seeds:
        raise UserError(f"none of the losses in search.seeds passes the filters ({stopped}): name others, or change the filters")
    raise FruitlessSearchError(
        f"no new loss of a generation passed the filters in {max_attempts:,} draws: {stopped}; raise search.generations.slack or "
        "filters.max_attempts, or change seed"
    )
