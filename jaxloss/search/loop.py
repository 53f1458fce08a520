"""The one search loop: ask -> cascade -> train -> tell -> archive. Every search goes through it.

State and rows are committed in one transaction after each individual, so that a killed run goes on where it stopped and ends
with the same archive as an undisturbed one.
"""

import collections
import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jaxloss.core.progress import Progress
from jaxloss.core.verdicts import ACCEPTED
from jaxloss.execution.base import Execution, Trial
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.equivalence import EQUIVALENT_TO_TRAINED, Known, LossMemory, joint_signature
from jaxloss.runs.archive import Archive
from jaxloss.runs.metrics import MetricWriter
from jaxloss.runs.rows import WHOLE, CandidateRow, TrainingRow
from jaxloss.search.base import Individual, Search
from jaxloss.search.budget import Counts, SearchBudget
from jaxloss.search.chooser import NOT_PROMISING, Chooser
from jaxloss.search.records import DoneTrial, Result, candidate_rows, training_rows
from jaxloss.search.screening import Resolved, resolve
from jaxloss.tasks.base import SEARCH_EVAL


class SearchLoop:
    """Runs one search until its budget is spent; `run` may be called again with a larger budget."""

    def __init__(
        self,
        search: Search,
        cascades: Mapping[str, Cascade],
        execution: Execution,
        archive: Archive,
        budget: SearchBudget,
        progress: Progress,
        metrics: MetricWriter | None = None,
        chooser: Chooser | None = None,
    ):
        """Takes up the search where the archive has it; curves go to `metrics`, and a chooser chooses, where they are given."""
        self.search, self.cascades, self.execution = search, cascades, execution
        self.archive, self.budget, self.progress, self.metrics = archive, budget, progress, metrics
        self.chooser = chooser
        self.memory = LossMemory()
        self._rows: list[CandidateRow] = []
        state = archive.state(search.name) or {}
        self.counts = Counts.from_json(state["counts"]) if state else Counts()
        self.pending = [Resolved.from_json(stored) for stored in state.get("pending", ())]
        self.seconds = collections.Counter(state.get("seconds", {}))
        self._recall(archive.candidates(search=search.name))

    def run(self) -> None:
        """Trains until the budget is spent."""
        while self._can_train(self.counts.trained):
            if not self.pending:
                self._propose()
            self._train_pending()

    def _can_train(self, trained: int) -> bool:
        """Whether the budget has room for one more candidate after `trained` of them."""
        return (trained + 1) * len(self.budget.starts) <= self.budget.num_trainings

    # --- one generation --------------------------------------------------------------------------------------------------------

    def _propose(self) -> None:
        """Takes the next generation up; where a chooser is at work, its choice is stored before anything is trained."""
        with self._clocked("rejection"):
            per_training = self.chooser.candidates(self.counts.trained) if self.chooser else 1
            self.pending = self._drawn(per_training)
        if per_training > 1:
            with self._clocked("choosing"):
                rounds = [self.pending[first : first + per_training] for first in range(0, len(self.pending), per_training)]
                self.pending = [resolved for one_round in rounds for resolved in self._chosen(one_round)]
            self._commit()

    def _drawn(self, per_training: int) -> list[Resolved]:
        """The proposals of the next generation, so many for each that will be trained, all of them past the filters."""
        return resolve(
            self.search,
            self.search.ask(per_training),
            self.cascades,
            self.memory,
            self.budget.batch,
            self.budget.max_attempts,
            self.progress.message,
        )

    @contextlib.contextmanager
    def _clocked(self, what: str) -> Iterator[None]:
        """Adds the time inside to the seconds of the search."""
        started = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - started

    def _chosen(self, one_round: Sequence[Resolved]) -> Iterable[Resolved]:
        """One round in which all that would be trained, but the most promising one, are passed over."""
        new = [index for index, one in enumerate(one_round) if joint_signature(one.signatures) not in self.memory.trained]
        if len(new) < 2:
            return one_round
        evaluated = [one for one in self.search.individuals if one.trained]
        chosen = new[self.chooser.choose(evaluated, [one_round[index].text for index in new])]
        passed_over = set(new) - {chosen}
        return [dataclasses.replace(one, passed_over=index in passed_over) for index, one in enumerate(one_round)]

    def _train_pending(self) -> None:
        """Trains what is pending, as far as the budget goes, and takes up the results in the order of the proposals."""
        for result in self._results(self._within_budget()):
            rows = candidate_rows(self.search.name, result)
            self._count(result)
            self._recall(rows)
            self._settle(rows)
            if result.trained:
                # Before the commit, so that a kill between the two leaves no gap: a step that is written again is ignored.
                self._write_curves(result.score)
                self._commit(training_rows(self.search.name, result))
            self.progress.search(self.search.name, self.counts, next(self.search.best(), None), self.budget.num_trainings)
        self._commit()

    def _within_budget(self) -> list[tuple[Resolved, bool]]:
        """The first of the pending proposals, with whether each is to be trained, as far as the budget goes."""
        signatures, num_fresh, chosen = set(self.memory.trained), 0, []
        for resolved in self.pending:
            signature = joint_signature(resolved.signatures)
            is_fresh = signature not in signatures and not resolved.passed_over
            if is_fresh:
                if not self._can_train(self.counts.trained + num_fresh):
                    break
                signatures.add(signature)
                num_fresh += 1
            chosen.append((resolved, is_fresh))
        return chosen

    def _results(self, within_budget: Sequence[tuple[Resolved, bool]]) -> Iterator[Result]:
        """What became of each proposal, as soon as it is known; those before it are taken up by then."""
        done = self._done(trial for resolved, is_fresh in within_budget if is_fresh for trial in self._trials(resolved))
        for resolved, is_fresh in within_budget:
            yield self._result(resolved, list(itertools.islice(done, len(self.budget.starts))) if is_fresh else None)

    def _done(self, trials: Iterable[Trial]) -> Iterator[DoneTrial]:
        """The trials with their outcomes, in order, each as soon as it is done."""
        trials = list(trials)
        for trial, (outcome, seconds) in zip(trials, self.execution.run(trials), strict=True):
            yield DoneTrial(trial, outcome, seconds)

    def _trials(self, resolved: Resolved) -> list[Trial]:
        space, budget = self.search.space, self.budget
        encoded = space.encode(space.parse(resolved.text))
        return [Trial(space, encoded, budget.learning_rate, *start, SEARCH_EVAL) for start in budget.starts]

    def _result(self, resolved: Resolved, trained: Sequence[DoneTrial] | None) -> Result:
        """What became of one proposal; `trained` is None for one that is passed over, or equivalent to a known one."""
        if resolved.passed_over:
            return Result(resolved, NOT_PROMISING, None)
        if trained is None:
            return Result(resolved, EQUIVALENT_TO_TRAINED, self.memory.trained[joint_signature(resolved.signatures)].score)
        scores = [done.outcome.score for done in trained]
        return Result(resolved, ACCEPTED, None if None in scores else sum(scores) / len(scores), trained)

    def _count(self, result: Result) -> None:
        """Adds one proposal and all its draws."""
        counts, resolved = self.counts, result.resolved
        if result.trained:
            counts.trained += 1
            counts.trainings += len(result.trained)
            counts.stopped_by_nan += result.score is None
            self.seconds["training"] += result.seconds
        elif result.reason is EQUIVALENT_TO_TRAINED:
            counts.equivalent += 1
        else:
            counts.rejected[result.reason.label] += 1
        counts.proposed += len(resolved.attempts) + sum(resolved.structural.values())
        counts.rejected.update(resolved.structural)
        counts.rejected.update(attempt.reason for attempt in resolved.attempts if attempt.reason != ACCEPTED.label)

    def _settle(self, rows: Sequence[CandidateRow]) -> None:
        """The first proposal is pending no more; its rows wait for the next commit."""
        self.pending = self.pending[1:]
        self._rows += rows

    def _commit(self, trainings: Sequence[TrainingRow] = ()) -> None:
        """One transaction. Individuals that were not trained wait for the next training: they can be told again for free."""
        self.archive.commit(candidates=self._rows, trainings=trainings, state=self._state())
        self._rows = []

    def _write_curves(self, score: float | None) -> None:
        """One more step of the curves, where they are drawn; `score` is that of the individual that was just trained."""
        if self.metrics is not None:
            self.metrics.write(self.counts.trainings, self._curves(score))

    def _curves(self, score: float | None) -> dict[str, float]:
        fitnesses = [one.fitness for one in self.search.population if one.score is not None]
        best = next(self.search.best(), None)
        values = {"score": score}
        if fitnesses:
            values["population_mean"] = sum(fitnesses) / len(fitnesses)
        if best is not None:
            values["best"] = best.score
        return {name: value for name, value in values.items() if value is not None} | {"proposed": self.counts.proposed}

    # --- state -----------------------------------------------------------------------------------------------------------------

    def _recall(self, rows: Iterable[CandidateRow]) -> None:
        """Takes rows of the archive into the memory, and those of whole candidates into the population."""
        for row in rows:
            self._remember(row)
            if row.branch == WHOLE:
                passed_over = row.reason == NOT_PROMISING.label
                self.search.tell(Individual(row.proposal, row.formula, row.score, row.training, passed_over))

    def _remember(self, row: CandidateRow) -> None:
        """Keeps what a row says of losses that were rejected or trained, where it says anything."""
        if row.branch != WHOLE:
            if self.cascades[row.branch].reasons[row.reason].is_remembered:
                self.memory.remember_rejected(row.branch, row.sketch)
        elif row.training:
            names = sorted(branch.name for branch in self.search.space.branches)
            signatures = dict(zip(names, row.signature.split(" | "), strict=True))
            self.memory.remember_trained(signatures, Known(row.proposal, row.score))

    def _state(self) -> dict[str, Any]:
        pending = [resolved.to_json() for resolved in self.pending]
        return {self.search.name: {"counts": self.counts.to_json(), "pending": pending, "seconds": dict(self.seconds)}}
