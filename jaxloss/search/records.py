"""The rows of the archive, made from what became of a proposal. Nothing is decided here, and nothing stored."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxloss.core.verdicts import ACCEPTED, Reason
from jaxloss.execution.base import Trial
from jaxloss.filters.equivalence import joint_signature
from jaxloss.runs.rows import WHOLE, CandidateRow, TrainingRow
from jaxloss.search.screening import Attempt, Resolved
from jaxloss.tasks.state import Outcome


class DoneTrial(NamedTuple):
    """A trial that was carried out, with its outcome and its seconds."""

    trial: Trial
    outcome: Outcome
    seconds: float


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a proposal that passed the filters.

    Attributes:
      resolved: the proposal.
      reason: `ACCEPTED` where it was trained, else why it was not.
      score: mean of its trainings, or that of its equivalent; None where there is none.
      trained: its trainings, one for each start of the budget; none where it was not trained.
    """

    resolved: Resolved
    reason: Reason
    score: float | None
    trained: Sequence[DoneTrial] = ()

    @property
    def seconds(self) -> float:
        """Of all its trainings."""
        return sum(done.seconds for done in self.trained)


def candidate_rows(search: str, result: Result) -> list[CandidateRow]:
    """One row for each draw that was stopped from the first jitted filter on, and one for the whole candidate."""
    resolved = result.resolved
    stopped = [attempt for attempt in resolved.attempts if attempt.reason != ACCEPTED.label]
    accepted = [attempt for attempt in resolved.attempts if attempt.reason == ACCEPTED.label]
    gains = [attempt.gain for attempt in accepted if attempt.gain is not None]
    whole = CandidateRow(
        search=search,
        proposal=resolved.number,
        branch=WHOLE,
        attempt=max(attempt.number for attempt in accepted),
        formula=resolved.text,
        key="|".join(attempt.key for attempt in accepted),
        origin="|".join(attempt.origin for attempt in accepted),
        parent=resolved.parent,
        reason=result.reason.label,
        gain=min(gains) if gains else None,
        signature=joint_signature(resolved.signatures),
        sketch=" | ".join(attempt.sketch for attempt in accepted),
        score=result.score,
        training=bool(result.trained),
        seconds=result.seconds,
    )
    return [*(_attempt_row(search, resolved, attempt) for attempt in stopped), whole]


def training_rows(search: str, result: Result) -> list[TrainingRow]:
    """One row for each training of a proposal."""
    return [search_training_row(search, result.resolved, done) for done in result.trained]


def search_training_row(search: str, resolved: Resolved, done: DoneTrial) -> TrainingRow:
    """The row of one training of a proposal."""
    return training_row(search, resolved.text, resolved.text, {"proposal": resolved.number}, done)


def training_row(
    stage: str,
    loss: str,
    formula: str | None,
    hyperparameters: Mapping[str, Any],
    done: DoneTrial,
    seed: int | None = None,
) -> TrainingRow:
    """The row of one training, see `TrainingRow`; of a trial that starts from a handle, `seed` is where its training began."""
    trial, outcome, seconds = done
    return TrainingRow(
        stage=stage,
        loss=loss,
        formula=formula,
        hyperparameters=dict(hyperparameters),
        learning_rate=trial.learning_rate,
        seed=trial.start if seed is None else seed,
        division=trial.division,
        evaluated_on=trial.evaluate_on,
        score=outcome.score,
        finite=outcome.finite,
        steps=outcome.steps,
        scores=dict(outcome.scores),
        seconds=seconds,
    )


def _attempt_row(search: str, resolved: Resolved, attempt: Attempt) -> CandidateRow:
    return CandidateRow(
        search=search,
        proposal=resolved.number,
        branch=attempt.branch,
        attempt=attempt.number,
        formula=attempt.formula,
        key=attempt.key,
        origin=attempt.origin,
        parent=resolved.parent,
        reason=attempt.reason,
        gain=attempt.gain,
        signature=attempt.signature,
        sketch=attempt.sketch,
    )


def scores_by_proposal(rows: Iterable[TrainingRow]) -> dict[int, list[float | None]]:
    """Number of the proposal -> the scores of its trainings, from the rows of one search."""
    scores: dict[int, list[float | None]] = collections.defaultdict(list)
    for row in rows:
        scores[row.hyperparameters["proposal"]].append(row.score)
    return scores
