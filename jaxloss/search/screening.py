"""From proposals to candidates: every branch is drawn again until the filters accept it (Li et al., CVPR 2022, Section 3.2).

Draws of several proposals go through the filters together. What counts is the order of the draws of one proposal: those
behind the first accepted one were looked at ahead of time, are not proposals, and leave no trace.
"""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxloss.core.form import Expression, Form
from jaxloss.core.verdicts import ACCEPTED, Verdict
from jaxloss.filters.base import Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.rejection import NO_METRIC_GAIN
from jaxloss.filters.remembered_losses import EQUIVALENT_TO_REJECTED
from jaxloss.search.base import SEED_ORIGIN, FruitlessSearchError, Proposal, Search
from jaxloss.spaces.base import Branch

# What a lower gain would let pass: losses that brought too little, and those that are equivalent to them.
_BELOW_THE_GAIN = (NO_METRIC_GAIN.label, EQUIVALENT_TO_REJECTED.label)
# Reasons that the end of patience names, the most frequent ones.
_NUM_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One draw of one branch that came as far as a filter which leaves rows.

    Attributes:
      branch: name of the branch.
      number: counts the draws of this branch of this proposal from 0.
      formula: the expression in text form.
      key: canonical, equal for expressions that are the same loss.
      origin: how it came about.
      reason: label of the verdict.
      gain: metric gain in the rejection protocol, or None.
      signature: what trained losses are compared by, as text, or None.
      sketch: what rejected ones are remembered by, as text, or None.
    """

    branch: str
    number: int
    formula: str
    key: str
    origin: str
    reason: str
    gain: float | None
    signature: str | None
    sketch: str | None


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A proposal all of whose branches were accepted.

    Attributes:
      number: of the proposal.
      parent: number of the parent's proposal, or None.
      text: the candidate in text form.
      attempts: of all branches, in order; the accepted one of each branch is its last.
      structural: reason label -> draws that were rejected by a filter that leaves no row.
      passed_over: another one of the same round was more promising.
    """

    number: int
    parent: int | None
    text: str
    attempts: tuple[Attempt, ...]
    structural: Mapping[str, int]
    passed_over: bool = False

    @property
    def signatures(self) -> dict[str, str]:
        """Branch -> signature of the accepted expression."""
        return {attempt.branch: attempt.signature for attempt in self.attempts if attempt.reason == ACCEPTED.label}

    @property
    def is_seed(self) -> bool:
        """Whether all of it was given to the search."""
        return all(attempt.origin == SEED_ORIGIN for attempt in self.attempts if attempt.reason == ACCEPTED.label)

    def to_json(self) -> dict[str, Any]:
        """The proposal as JSON values, which the state of a search holds while it waits."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Resolved":
        """The inverse of `to_json`."""
        return cls(**{**stored, "attempts": tuple(Attempt(**attempt) for attempt in stored["attempts"])})


@dataclasses.dataclass
class _Slot:
    """One branch of one proposal that is still to be filled."""

    proposal: Proposal
    branch: Branch
    next_attempt: int = 0
    attempts: list[Attempt] = dataclasses.field(default_factory=list)
    structural: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # By the look at their leaves, behind the last draw that passed it.
    rejected: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    accepted: Expression | None = None


@dataclasses.dataclass
class _Draw:
    """One draw that passed the look at its leaves, with the structural rejections that came just before it."""

    number: int
    expression: Expression
    origin: str
    rejected_before: collections.Counter


def resolve(
    search: Search,
    proposals: Sequence[Proposal],
    cascades: Mapping[str, Cascade],
    memory: LossMemory,
    batch: int,
    max_attempts: int,
    message: Callable[[str], None] = lambda text: None,
) -> list[Resolved]:
    """Draws every branch of every proposal until it passes.

    Args:
      search: draws the expressions.
      proposals: of one generation.
      cascades: branch name -> filters.
      memory: of the search; only read.
      batch: draws per round that go through the filters together.
      max_attempts: bound on the draws for one branch.
      message: called with one line for every seed that is rejected: somebody has asked for it.

    Raises:
      UserError: when `max_attempts` draws brought nothing; says what to change.
    """
    slots = [_Slot(proposal, branch) for proposal in proposals for branch in search.space.branches]
    # The first draw of a slot often passes; the more draws have failed, the more are looked at together.
    share = 1
    while open_slots := [slot for slot in slots if slot.accepted is None]:
        share = min(2 * share, max(1, batch // len(open_slots)))
        for name, cascade in cascades.items():
            waiting = [slot for slot in open_slots if slot.branch.name == name]
            draws = [_draw(search, slot, cascade, share, max_attempts, message) for slot in waiting]
            screened = iter(cascade.screen([draw.expression for row in draws for draw in row], memory) if waiting else [])
            for slot, row in zip(waiting, draws, strict=True):
                _settle(slot, row, [next(screened) for _ in row], message)
    return [_resolved(search, proposal, [slot for slot in slots if slot.proposal is proposal]) for proposal in proposals]


def _draw(
    search: Search, slot: _Slot, cascade: Cascade, count: int, max_attempts: int, message: Callable[[str], None]
) -> list[_Draw]:
    """The next `count` draws of a slot that pass the look at their leaves; fewer where `max_attempts` comes first."""
    found: list[_Draw] = []
    attempt = slot.next_attempt
    while len(found) < count:
        if attempt >= max_attempts:
            if found:
                break  # one of these may pass: patience ends when none has
            raise _nothing_passed(slot, max_attempts)
        expression, origin = search.draw(slot.proposal, slot.branch, attempt)
        verdict: Verdict = cascade.look(expression)
        if verdict.accepted:
            found.append(_Draw(attempt, expression, origin, slot.rejected))
            slot.rejected = collections.Counter()
        else:
            slot.rejected[verdict.reason.label] += 1
            if origin == SEED_ORIGIN:
                message(_rejected_seed(slot.branch, expression, verdict))
        attempt += 1
    slot.next_attempt = attempt
    return found


def _nothing_passed(slot: _Slot, max_attempts: int) -> FruitlessSearchError:
    """The end of patience: what stopped the draws, and what would help."""
    reached = collections.Counter(attempt.reason for attempt in slot.attempts)
    # Most random formulas fall to a look at their leaves, whatever the gain: it counts what stopped those that came further.
    by_gain = sum(reached[label] for label in _BELOW_THE_GAIN) > reached.total() / 2
    lower = "lower filters.rejection.minimum_gain (or minimum_metric, where it is set), " if by_gain else ""
    stopped = most_frequent(slot.structural + slot.rejected + reached)
    return FruitlessSearchError(
        f"no candidate passed the filters in {max_attempts:,} draws (proposal {slot.proposal.number}, branch "
        f"{slot.branch.name}): {stopped}; {lower}change seed or raise filters.max_attempts"
    )


def most_frequent(stopped: collections.Counter) -> str:
    """The reasons with their numbers of draws, in one line; the rare ones together."""
    ordered = stopped.most_common()
    named = [f"{number:,} {label}" for label, number in ordered[:_NUM_NAMED]]
    others = sum(number for _, number in ordered[_NUM_NAMED:])
    return ", ".join([*named, *([f"{others:,} others"] if others else [])])


def _rejected_seed(branch: Branch, expression: Expression, verdict: Verdict) -> str:
    text = branch.form.write(expression)
    return f"the seed '{text}' (branch {branch.name}) was rejected: {verdict.reason.label}; random draws take its place"


def _settle(slot: _Slot, draws: Sequence[_Draw], screened: Sequence[Screened], message: Callable[[str], None]) -> None:
    """Takes the first accepted draw; what came before it counts, what comes behind it does not."""
    for draw, result in zip(draws, screened, strict=True):
        slot.structural.update(draw.rejected_before)
        reason = result.verdict.reason
        if not reason.leaves_row:
            slot.structural[reason.label] += 1
        else:
            slot.attempts.append(_attempt(slot, draw, result))
        if result.verdict.accepted:
            slot.accepted = draw.expression
            return
        if draw.origin == SEED_ORIGIN:
            message(_rejected_seed(slot.branch, draw.expression, result.verdict))


def _attempt(slot: _Slot, draw: _Draw, result: Screened) -> Attempt:
    return attempt_of(slot.branch.name, slot.branch.form, draw.number, draw.expression, draw.origin, result)


def attempt_of(branch: str, form: Form, number: int, expression: Expression, origin: str, result: Screened) -> Attempt:
    """What is kept of one draw of a branch, see `Attempt`, from what the filters found of it."""
    gain = result.verdict.value
    return Attempt(
        branch=branch,
        number=number,
        formula=form.write(expression),
        key=form.key(expression),
        origin=origin,
        reason=result.verdict.reason.label,
        gain=None if gain != gain else gain,
        signature=result.signature,
        sketch=result.sketch,
    )


def _resolved(search: Search, proposal: Proposal, slots: Sequence[_Slot]) -> Resolved:
    structural: collections.Counter = collections.Counter()
    for slot in slots:
        structural.update(slot.structural)
    return Resolved(
        number=proposal.number,
        parent=proposal.parents[0] if proposal.parents else None,
        text=search.space.write({slot.branch.name: slot.accepted for slot in slots}),
        attempts=tuple(attempt for slot in slots for attempt in slot.attempts),
        structural=dict(structural),
    )
