"""How networks of a search in lock-step, and of its controls, come to their score on the test split.

Every method has one network for each (division, seed) of the comparison. What it takes from a search (a schedule, a loss) comes
from the search of the *next* seed of the division: with its own, a network would be trained as the one that was searched with,
from the same start. Each score is looked up in the archive first and stored as soon as it is known.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jaxloss.core.types import PyTree
from jaxloss.execution.base import Execution, Trial
from jaxloss.runs.rows import TrainingRow
from jaxloss.runs.shown import outputs_name, packed
from jaxloss.search.lockstep import LockstepLoop
from jaxloss.search.lockstep_settings import CENTRES
from jaxloss.search.records import DoneTrial, training_row
from jaxloss.study.comparison import TUNED, TestResult
from jaxloss.study.contender import CONTROL, FOUND, RANDOM_SEARCH, Contender, TuningPoint
from jaxloss.study.experiment import Experiment
from jaxloss.study.lockstep_searches import has_trained, last_reward
from jaxloss.study.trainings import Job
from jaxloss.tasks.base import SEARCH_EVAL, TEST
from jaxloss.tasks.state import StateHandle

LEARNED, RANDOM = "learned in lock-step", "random in lock-step"
REPLAY, LAST, FIXED = "replayed schedule", "last centre", "fixed best loss"

# `(index of the pair, whether pictures are wanted) -> what came of the trial that was scored on the test`.
Tested = Callable[[int, bool], DoneTrial]


@dataclasses.dataclass(frozen=True)
class Method:
    """One line of the comparison.

    Attributes:
      label: of the line.
      kind: see `Contender`.
      point: rate and hyper-parameters of its networks.
      search_eval: mean score on search_eval, NaN where it has none.
      tested: how its networks are made.
    """

    label: str
    kind: str
    point: TuningPoint
    search_eval: float
    tested: Tested


def on_test(experiment: Experiment, method: Method) -> TestResult:
    """The scores of a method on the test split, one for each division and seed; 0 where the training was stopped by NaN."""
    contender = Contender(method.label, method.kind, experiment.space)
    pairs = experiment.plan.comparison.test_pairs
    scores = {}
    for index, (division, seed) in enumerate(pairs):
        rate, values = method.point.learning_rate, dict(method.point.hyperparameters)
        row = experiment.run.archive.find_training(TUNED, contender.identity, values, rate, seed, division, TEST)
        if row is None:
            row = _store(experiment, method, seed, method.tested(index, index == 0))
            experiment.progress.step(f"test: {method.label}", index + 1, len(pairs))
        scores[division, seed] = 0.0 if row.score is None else row.score
    return TestResult(contender, method.point, method.search_eval, scores)


def _store(experiment: Experiment, method: Method, seed: int, done: DoneTrial) -> TrainingRow:
    trial = dataclasses.replace(done.trial, learning_rate=method.point.learning_rate)
    row = training_row(TUNED, method.label, None, method.point.hyperparameters, done._replace(trial=trial), seed)
    shown = {} if done.outcome.shown is None else {outputs_name(row): packed(done.outcome.shown)}
    experiment.run.archive.commit(trainings=[row], state=shown)
    return row


def _run(execution: Execution, trial: Trial) -> DoneTrial:
    ((outcome, seconds),) = execution.run([trial])
    return DoneTrial(trial, outcome, seconds)


class LockstepMethods:
    """The methods of one run, made from its searches."""

    def __init__(self, experiment: Experiment, learned: Sequence[LockstepLoop]):
        """Of searches that have ended, one for each division and seed in order; fresh networks are trained at their rate."""
        self.experiment, self.learned = experiment, learned
        self.settings, self.space, self.execution = experiment.plan.lockstep, experiment.space, experiment.execution
        self.point = TuningPoint(learned[0].plan.learning_rate)
        self.pairs = experiment.plan.comparison.test_pairs
        self._further: list[Execution] = []

    def close(self) -> None:
        """Ends the threads of executions that were made here."""
        for execution in self._further:
            execution.close()

    def searched(self, label: str, kind: str, loops: Sequence[LockstepLoop]) -> Method:
        """The networks that searches have trained, as they are."""

        def tested(index: int, show: bool) -> DoneTrial:
            # No step is done, so that any loss is as good.
            encoded = self._encoded(loops[index].state.rounds[-1].centre)
            return _run(self.execution, self._trial(index, encoded, loops[index].kept, num_steps=0, show=show))

        point = TuningPoint(loops[0].plan.learning_rate)
        return Method(label, kind, point, _mean([self._reward(loop) for loop in loops]), tested)

    def of_searches(self) -> Iterator[Method]:
        """What the searches were for, and what is left of it on fresh networks."""
        yield self.searched(LEARNED, FOUND, self.learned)
        if self.settings.replay != "none":
            yield Method(REPLAY, FOUND, self.point, math.nan, self._replayed)
        if self.settings.last:
            yield Method(LAST, FOUND, self.point, math.nan, self._with(lambda loop: loop.state.rounds[-1].centre))
        if self.settings.fixed:
            yield Method(FIXED, FOUND, self.point, math.nan, self._with(best_formula))

    def random(self, loops: Sequence[LockstepLoop]) -> Method:
        """The same without learning."""
        return self.searched(RANDOM, RANDOM_SEARCH, loops)

    def of_cost(self, contender: Contender, point: TuningPoint) -> Iterator[Method]:
        """What a known loss makes of the effort of a search."""
        number = self.settings.num_samples
        if self.settings.longer:
            yield Method(f"{contender.name}, {number} x longer", CONTROL, point, math.nan, self._longer(contender, point))
        if self.settings.best_of:
            score, tested = self._best_of(contender, point)
            yield Method(f"{contender.name}, best of {number}", CONTROL, point, score, tested)

    # --- fresh networks --------------------------------------------------------------------------------------------------------

    def _with(self, formula_of: Callable[[LockstepLoop], str]) -> Tested:
        """A whole training with one loss of another search."""

        def tested(index: int, show: bool) -> DoneTrial:
            encoded = self._encoded(formula_of(self._other(index)))
            return _run(self.execution, self._trial(index, encoded, self.pairs[index][1], show=show))

        return tested

    def _replayed(self, index: int, show: bool) -> DoneTrial:
        """A training with the losses of another search, round by round."""
        loop = self._other(index)
        stages = _centres(loop) if self.settings.replay == CENTRES else _winners(loop)
        start, seconds = self.pairs[index][1], 0.0
        for (before, _), (end, formula) in itertools.pairwise([(0, ""), *stages[:-1]]):
            trial = self._trial(index, self._encoded(formula), start, num_steps=end - before)
            done = _run(self.execution, dataclasses.replace(trial, evaluate_on=None, keep_end=True))
            seconds += done.seconds
            start = done.outcome.end
            if not done.outcome.finite:
                return DoneTrial(dataclasses.replace(trial, evaluate_on=TEST), done.outcome, seconds)
        # The last loss stays, whatever is left of the training.
        done = _run(self.execution, self._trial(index, self._encoded(stages[-1][1]), start, show=show))
        return done._replace(seconds=seconds + done.seconds)

    # --- known losses ----------------------------------------------------------------------------------------------------------

    def _longer(self, contender: Contender, point: TuningPoint) -> Tested:
        @functools.cache
        def execution() -> Execution:
            plan = self.experiment.plan
            self._further.append(plan.make_longer_execution(self.experiment.parallelism, self.settings.num_samples))
            return self._further[-1]

        def tested(index: int, show: bool) -> DoneTrial:
            division, seed = self.pairs[index]
            encoded, rate = contender.encode(point), point.learning_rate
            return _run(execution(), Trial(contender.family, encoded, rate, seed, division, TEST, show=show))

        return tested

    def _best_of(self, contender: Contender, point: TuningPoint) -> tuple[float, Tested]:
        """The score on search_eval, and how the best of each pair is tested: trained once more, from its seed."""
        first, number = self.experiment.plan.comparison.first_best_of_seed, self.settings.num_samples
        jobs = [
            Job(contender, point, first + index * number + place, division)
            for index, (division, _) in enumerate(self.pairs)
            for place in range(number)
        ]
        scores = self.experiment.comparison.trainings.scores("best of several", jobs, SEARCH_EVAL)
        rounds = [list(zip(scores, jobs, strict=True))[place : place + number] for place in range(0, len(jobs), number)]
        best = [max(one, key=lambda pair: pair[0]) for one in rounds]

        def tested(index: int, show: bool) -> DoneTrial:
            job = best[index][1]
            encoded, rate = contender.encode(point), point.learning_rate
            return _run(self.execution, Trial(contender.family, encoded, rate, job.seed, job.division, TEST, show=show))

        return _mean([score for score, _ in best]), tested

    # --- parts -----------------------------------------------------------------------------------------------------------------

    def _trial(self, index: int, encoded: PyTree, start: int | StateHandle, **rest: Any) -> Trial:
        return Trial(self.space, encoded, self.point.learning_rate, start, self.pairs[index][0], TEST, **rest)

    def _encoded(self, formula: str) -> PyTree:
        return self.space.encode(self.space.parse(formula))

    def _other(self, index: int) -> LockstepLoop:
        """The search of the next seed of the same division that has trained; where there is none, of the next divisions."""
        count, loops = self.experiment.plan.comparison.test_seeds, self.learned
        first = index - index % count
        same = [*loops[index + 1 : first + count], *loops[first:index]]
        return next(loop for loop in (*same, *loops[first + count :], *loops[:first], loops[index]) if has_trained(loop))

    def _reward(self, loop: LockstepLoop) -> float:
        """Of the network that a search ended with, on search_eval; that of a search that has not trained is a fresh one."""
        if has_trained(loop):
            return last_reward(loop)
        return self.execution.untrained_scores(loop.plan.seed, loop.plan.division)[self.experiment.task.metric]


def best_formula(loop: LockstepLoop) -> str:
    """The loss with the best reward of all rounds; the first of equals."""
    return max((one for one in loop.state.rounds if one.best is not None), key=lambda one: one.best).formula


def _winners(loop: LockstepLoop) -> list[tuple[int, str]]:
    """(steps at its end, loss of the copy that went on), round by round."""
    return [(one.steps, one.formula) for one in loop.state.rounds if one.formula is not None]


def _centres(loop: LockstepLoop) -> list[tuple[int, str]]:
    """(steps at its end, centre that its losses were drawn around), round by round."""
    first = loop.space.write(loop.space.distribution.centre(loop.space.distribution.start()))
    around = [first, *(one.centre for one in loop.state.rounds)]
    return [(one.steps, centre) for one, centre in zip(loop.state.rounds, around, strict=False) if one.formula is not None]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
