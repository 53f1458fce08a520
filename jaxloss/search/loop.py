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
from jaxloss.runs.metrics import MetricWriter, metric_line
from jaxloss.runs.rows import WHOLE, CandidateRow, TrainingRow
from jaxloss.search.base import Individual, Search
from jaxloss.search.budget import Counts, SearchBudget
from jaxloss.search.chooser import NOT_PROMISING, Chooser
from jaxloss.search.curves import curves
from jaxloss.search.racing import Race
from jaxloss.search.records import DoneTrial, Result, candidate_rows, scores_by_proposal, search_training_row, training_rows
from jaxloss.search.screening import Resolved, resolve
from jaxloss.search.selection import select
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.state import Outcome

# Under which the state of a search holds what the algorithm keeps beside its individuals.
_ALGORITHM = "algorithm"


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
        self._lines: list[dict[str, Any]] = []
        state = archive.state(search.label) or {}
        self.counts = Counts.from_json(state["counts"]) if state else Counts()
        self.pending = [Resolved.from_json(stored) for stored in state.get("pending", ())]
        self.seconds = collections.Counter(state.get("seconds", {}))
        if _ALGORITHM in state:
            search.restore(state[_ALGORITHM])
        self._race = Race(budget.rungs, budget.factor)
        scores = scores_by_proposal(archive.trainings(search.label)) if self._races else {}
        self._num_trainings = {number: len(of_one) for number, of_one in scores.items()}
        for stopped in archive.stopped(search.label):
            self._recall_stopped(*stopped)
        self._recall(archive.candidates(search=search.label, branch=WHOLE))
        for one in search.individuals:
            if one.trained and one.score is not None and self._races:
                self._race.recall(scores[one.number])

    def run(self) -> None:
        """Trains until the budget is spent."""
        while self._can_train(1):
            if not self.pending:
                self._propose()
            self._train_pending()

    @property
    def _races(self) -> bool:
        return len(self.budget.rungs) > 1

    def _can_train(self, candidates: int) -> bool:
        """Whether the budget has room for so many more, up to where they are judged first."""
        return self.counts.trainings + candidates * self.budget.rungs[0] <= self.budget.num_trainings

    # --- one generation --------------------------------------------------------------------------------------------------------

    def _propose(self) -> None:
        """Takes the next generation up; where some of it are chosen, the choice is stored before anything is trained."""
        if self.search.kept is not None:
            with self._clocked("rejection"):
                self.pending = self._selected()
            self._commit()
            return
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

    def _selected(self) -> list[Resolved]:
        """The best of the next generation, where the search keeps so many of it."""
        patience, message = self.budget.max_attempts, self.progress.message
        return select(self.search, self.search.ask(), self.cascades, self.memory, patience, message)

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
        # Somebody has asked for the seeds: they are trained whatever is predicted.
        chosen = {index for index in new if one_round[index].is_seed}
        passed_over = set(new) - (chosen or {new[self.chooser.choose(evaluated, [one_round[index].text for index in new])]})
        return [dataclasses.replace(one, passed_over=index in passed_over) for index, one in enumerate(one_round)]

    def _train_pending(self) -> None:
        """Trains what is pending, as far as the budget goes, and takes up the results in the order of the proposals."""
        for result in self._results(self._within_budget()):
            rows = candidate_rows(self.search.label, result)
            self._num_trainings[result.resolved.number] = len(result.trained)
            self._count(result)
            self._recall(rows)
            self._settle(rows)
            if result.trained:
                self._draw_curves(result.score)
                # The trainings of a race are there already, and its candidates are told together: who goes on depends on all.
                if not self._races:
                    self._commit(training_rows(self.search.label, result))
            self.progress.search(self.search.label, self.counts, next(self.search.best(), None), self.budget.num_trainings)
        self._commit()

    def _within_budget(self) -> list[tuple[Resolved, bool]]:
        """The first of the pending proposals, with whether each is to be trained, as far as the budget goes."""
        signatures, num_fresh, chosen = set(self.memory.trained), 0, []
        for resolved in self.pending:
            signature = joint_signature(resolved.signatures)
            is_fresh = signature not in signatures and not resolved.passed_over
            if is_fresh:
                if not self._can_train(num_fresh + 1):
                    break
                signatures.add(signature)
                num_fresh += 1
            chosen.append((resolved, is_fresh))
        return chosen

    def _results(self, within_budget: Sequence[tuple[Resolved, bool]]) -> Iterator[Result]:
        """What became of each proposal, as soon as it is known; those before it are taken up by then."""
        if self._races:
            raced = self._raced([resolved for resolved, is_fresh in within_budget if is_fresh])
            yield from (self._result(resolved, raced.get(resolved.number)) for resolved, _ in within_budget)
            return
        done = self._done(trial for resolved, is_fresh in within_budget if is_fresh for trial in self._trials(resolved))
        for resolved, is_fresh in within_budget:
            yield self._result(resolved, list(itertools.islice(done, len(self.budget.starts))) if is_fresh else None)

    def _raced(self, candidates: Sequence[Resolved]) -> dict[int, list[DoneTrial]]:
        """By the number of the proposal, the trainings of each: those of the hopeless end at a rung."""
        done: dict[int, list[DoneTrial]] = {one.number: [] for one in candidates}
        running, spent, before = list(candidates), self.counts.trainings, 0
        for rung, count in enumerate(self.budget.rungs):
            # On the last trainings of a budget only the best go on.
            running = running[: max(0, (self.budget.num_trainings - spent) // (count - before))]
            trials = [(one, trial) for one in running for trial in self._trials(one)[before:count]]
            for one, trained in zip((one for one, _ in trials), self._stored_or_done(trials), strict=True):
                done[one.number].append(trained)
            spent, before = spent + len(trials), count
            running = [one for one in running if all(trained.outcome.score is not None for trained in done[one.number])]
            if count < self.budget.rungs[-1]:
                scores = [[trained.outcome.score for trained in done[one.number]] for one in running]
                running = [running[index] for index in self._race.going_on(rung, scores)]
        return done

    def _stored_or_done(self, trials: Sequence[tuple[Resolved, Trial]]) -> Iterator[DoneTrial]:
        """The trials with their outcomes, in order; each is stored as soon as it is done, and read where it was."""
        stored = [self._stored(*pair) for pair in trials]
        missing = self._done(trial for (_, trial), row in zip(trials, stored, strict=True) if row is None)
        for (resolved, _), row in zip(trials, stored, strict=True):
            if row is not None:
                yield row
                continue
            done = next(missing)
            self.archive.commit(trainings=[search_training_row(self.search.label, resolved, done)])
            yield done

    def _stored(self, resolved: Resolved, trial: Trial) -> DoneTrial | None:
        place = (self.search.label, resolved.text, {"proposal": resolved.number})
        row = self.archive.find_training(*place, trial.learning_rate, trial.start, trial.division, trial.evaluate_on)
        return None if row is None else DoneTrial(trial, Outcome(row.score, row.scores, row.steps, row.finite), row.seconds)

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
        self.archive.commit(candidates=self._rows, trainings=trainings, state=self._state(), metrics=self._lines)
        # Behind the commit: what a kill between the two keeps from the file is made again from the archive.
        for line in self._lines:
            self.metrics.write(line)
        self._rows, self._lines = [], []

    def _draw_curves(self, score: float | None) -> None:
        """One more step of the curves, where they are drawn; `score` is that of the individual that was just trained."""
        if self.metrics is not None:
            self._lines.append(metric_line(self.counts.trainings, curves(self.search, self.counts, score)))

    # --- state -----------------------------------------------------------------------------------------------------------------

    def _recall(self, rows: Iterable[CandidateRow]) -> None:
        """Takes rows of the archive into the memory, and those of whole candidates into the population."""
        for row in rows:
            if row.branch != WHOLE:
                self._recall_stopped(row.branch, row.reason, row.sketch)
                continue
            if row.training:
                names = sorted(branch.name for branch in self.search.space.branches)
                signatures = dict(zip(names, row.signature.split(" | "), strict=True))
                self.memory.remember_trained(signatures, Known(row.proposal, row.score))
            passed_over = row.reason == NOT_PROMISING.label
            trainings = self._num_trainings.get(row.proposal, len(self.budget.starts)) if row.training else 0
            own = (row.score, row.training, passed_over, trainings, row.gain)
            self.search.tell(Individual(row.proposal, row.formula, *own))

    def _recall_stopped(self, branch: str, label: str, sketch: str | None) -> None:
        """Keeps the sketch of a draw that was stopped, where its like need no second look."""
        reason = self.cascades[branch].reasons.get(label)  # a selection has its own
        if reason is not None and reason.is_remembered:
            self.memory.remember_rejected(branch, sketch)

    def _state(self) -> dict[str, Any]:
        pending = [resolved.to_json() for resolved in self.pending]
        state = {"counts": self.counts.to_json(), "pending": pending, "seconds": dict(self.seconds)}
        return {self.search.label: {**state, **({_ALGORITHM: own} if (own := self.search.state()) else {})}}
