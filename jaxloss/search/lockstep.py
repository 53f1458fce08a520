"""A search in lock-step: copies of one network train with losses of their own, and the best of them goes on.

    for each round:
        draw B losses from the distribution
        train B copies of the network from the same state, one loss each
        learn the distribution from their scores on search_eval
        every copy takes over the best one's state: network, optimiser, data order

Li et al., ICCV 2019, Algorithm 1. What is learned, and how, is the distribution's (`spaces.distribution`). Rows, the state of the
distribution and the name of the network's checkpoint are committed together after each round: a killed search repeats the round
in flight, from the same bits.
"""

import dataclasses
import math

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.progress import Progress
from jaxloss.core.verdicts import ACCEPTED
from jaxloss.execution.base import Execution, Trial
from jaxloss.runs.archive import Archive
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.runs.metrics import MetricWriter, metric_line
from jaxloss.runs.rounds import LockstepState, Round
from jaxloss.runs.rows import WHOLE, CandidateRow, TrainingRow
from jaxloss.search.records import DoneTrial, training_row
from jaxloss.spaces.base import Candidate, Space
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.state import StateHandle

SAMPLED = "sampled"


@dataclasses.dataclass(frozen=True)
class LockstepPlan:
    """What one search does.

    Attributes:
      name: under which it is stored: letters, digits and `_`.
      num_samples: `B`.
      learning_rate: of the networks.
      seed: of the network, the data order and the draws.
      division: of the data.
      epochs_per_round: of every copy.
      learns: False draws from the distribution as it began.
      most_failures: rounds in a row that may leave no copy.
    """

    name: str
    num_samples: int
    learning_rate: float
    seed: int
    division: int
    epochs_per_round: float = 1.0
    learns: bool = True
    most_failures: int = 3


@dataclasses.dataclass
class _Copies:
    """What became of the copies of one round."""

    rewards: np.ndarray
    best: int | None
    end: StateHandle | None
    candidates: list[CandidateRow]
    trainings: list[TrainingRow]

    @property
    def seconds(self) -> float:
        return sum(row.seconds for row in self.trainings)


class LockstepLoop:
    """Runs one search to its end; the archive has the rounds that are done."""

    def __init__(
        self,
        plan: LockstepPlan,
        space: Space,
        execution: Execution,
        archive: Archive,
        checkpoints: Checkpoints,
        progress: Progress,
        metrics: MetricWriter | None = None,
    ):
        """Takes up the search where the archive has it; curves go to `metrics` where it is given.

        Args:
          plan: of the search.
          space: with a distribution.
          execution: of the trainings.
          archive: of the run.
          checkpoints: of the run.
          progress: is told of every round.
          metrics: of the run, for one of its searches: their steps go up once.
        """
        self.plan, self.space, self.execution, self.archive = plan, space, execution, archive
        self.checkpoints, self.progress, self.metrics = checkpoints, progress, metrics
        stored = archive.state(plan.name)
        self.state = LockstepState.from_json(stored) if stored else LockstepState(space.distribution.start())
        self._handle: StateHandle | None = None
        self.num_steps = execution.num_steps(plan.division)
        self.steps_per_round = max(1, round(plan.epochs_per_round * execution.steps_per_epoch(plan.division)))

    def run(self) -> None:
        """Trains to the end of the training, or until too many rounds in a row have left no copy."""
        self._remove_others()
        while self.state.steps < self.num_steps and self.state.failures < self.plan.most_failures:
            self._round()

    @property
    def end(self) -> StateHandle | None:
        """The state of the network; None where there is none yet, or no copy ever came through.

        Raises:
          UserError: its checkpoint is gone, damaged, or that of another network.
        """
        if self._handle is None and self.state.checkpoint is not None:
            try:
                self._handle = self.checkpoints.load(self.state.checkpoint, like=self.execution.handle_like(self.plan.division))
            except UserError as error:
                remedy = "put the run's own checkpoint back, or begin again with --restart, or in another directory"
                raise UserError(f"{str(error).rstrip('.')}; {remedy}") from error
        return self._handle

    @property
    def kept(self) -> StateHandle | int:
        """The last good weights, see `end`; the seed of those that the network began with where no copy ever came through."""
        return self.plan.seed if self.state.checkpoint is None else self.end

    @property
    def ended_early(self) -> bool:
        """Whether too many rounds in a row left no copy, after `run`: the network has done a part of its training, or nothing."""
        return self.state.steps < self.num_steps

    # --- one round -------------------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        distribution, number = self.space.distribution, len(self.state.rounds)
        generator = np.random.default_rng((self.plan.seed, number))
        sampled = distribution.sample(self.state.distribution, generator, self.plan.num_samples)
        copies = self._train(sampled, number)
        learned = self.state.distribution
        if copies.best is not None and self.plan.learns:
            learned = distribution.update(learned, sampled, copies.rewards)
        self._take_over(copies, learned, self._record(copies, learned, number))

    def _train(self, sampled: list[Candidate], number: int) -> _Copies:
        plan, space = self.plan, self.space
        steps = min(self.steps_per_round, self.num_steps - self.state.steps)
        trials = [
            Trial(space, space.encode(one), plan.learning_rate, self.kept, plan.division, SEARCH_EVAL, steps, keep_end=True)
            for one in sampled
        ]
        first, parent = number * plan.num_samples, self.state.rounds[-1].winner if self.state.rounds else None
        copies = _Copies(np.full(len(trials), math.nan), None, None, [], [])
        for index, (trial, (outcome, seconds)) in enumerate(zip(trials, self.execution.run(trials), strict=True)):
            text = space.write(sampled[index])
            copies.candidates.append(
                CandidateRow(
                    search=plan.name,
                    proposal=first + index,
                    branch=WHOLE,
                    attempt=0,
                    formula=text,
                    key=space.key(sampled[index]),
                    origin=SAMPLED,
                    parent=parent,
                    reason=ACCEPTED.label,
                    score=outcome.score,
                    training=True,
                    seconds=seconds,
                )
            )
            done = DoneTrial(trial, dataclasses.replace(outcome, end=None), seconds)
            copies.trainings.append(training_row(plan.name, text, text, {"proposal": first + index}, done, plan.seed))
            # The last one's round is told with its rewards.
            if index + 1 < len(trials):
                self._step(index + 1, number + 1)
            if outcome.score is None:
                continue
            copies.rewards[index] = outcome.score
            # Among equals the first: the ends of the others are dropped as they come.
            if copies.best is None or outcome.score > copies.rewards[copies.best]:
                copies.best, copies.end = index, outcome.end
        return copies

    def _record(self, copies: _Copies, learned: dict, number: int) -> Round:
        distribution = self.space.distribution
        finite = copies.rewards[np.isfinite(copies.rewards)]
        best = None if copies.best is None else copies.candidates[copies.best]
        last = next((one.winner for one in reversed(self.state.rounds)), None)
        return Round(
            number=number,
            steps=self.state.steps if copies.end is None else copies.end.steps,
            mean=float(finite.mean()) if len(finite) else None,
            best=None if best is None else best.score,
            # Who comes after a round that left no copy descends from the one before it.
            winner=last if best is None else best.proposal,
            formula=None if best is None else best.formula,
            centre=self.space.write(distribution.centre(learned)),
            numbers={name: list(map(float, values)) for name, values in distribution.numbers(learned).items()},
            stopped=len(copies.rewards) - len(finite),
            seconds=copies.seconds,
        )

    def _take_over(self, copies: _Copies, learned: dict, done: Round) -> None:
        """Stores the round and the state that the next one starts from."""
        before = self.state
        if copies.end is None:
            failures, checkpoint = before.failures + 1, before.checkpoint
        else:
            failures, checkpoint = 0, f"{self.plan.name}_round_{done.number}"
            self.checkpoints.save(checkpoint, copies.end)
            self._handle = copies.end
        self.state = LockstepState(learned, checkpoint, done.steps, failures, (*before.rounds, done))
        lines = self._curves(done)
        self.archive.commit(copies.candidates, copies.trainings, {self.plan.name: self.state.to_json()}, lines)
        # Behind the commit: what a kill between the two keeps from the file is made again from the archive.
        for line in lines:
            self.metrics.write(line)
        if before.checkpoint not in (None, checkpoint):
            self.checkpoints.remove(before.checkpoint)
        self._tell(done)

    def _remove_others(self) -> None:
        """Removes networks that a kill between two of these steps has left."""
        for name in self.checkpoints.names():
            if name.startswith(f"{self.plan.name}_round_") and name != self.state.checkpoint:
                self.checkpoints.remove(name)

    # --- what is told ----------------------------------------------------------------------------------------------------------

    def _curves(self, done: Round) -> list[dict[str, float]]:
        """The line of a round, where curves are drawn and it has left a copy."""
        if self.metrics is None or done.best is None:
            return []
        return [metric_line(done.number, {"score": done.best, "reward_mean": done.mean, "reward_best": done.best})]

    def _tell(self, done: Round) -> None:
        if done.best is None:
            last = self.state.failures == self.plan.most_failures
            weights = f"the last good weights, after {done.steps} steps," if done.steps else "the weights that it began with"
            self.progress.message(
                f"{self.plan.name}, round {done.number}: all {self.plan.num_samples} copies met NaN or infinity; {weights} "
                f"are kept{' and the search ends with them' if last else ''}"
            )
            return
        stopped = f", {done.stopped} met NaN" if done.stopped else ""
        self._step(0, done.number + 1, f"; rewards: mean {done.mean:.4f}, best {done.best:.4f}{stopped}")

    def _step(self, copies: int, number: int, detail: str = "") -> None:
        """So many copies are done beyond the rounds that are stored: a round of a large network takes long."""
        rounds, each = len(self.state.rounds), self.plan.num_samples
        total = rounds - (-(self.num_steps - self.state.steps) // self.steps_per_round)
        self.progress.step(self.plan.name, rounds * each + copies, total * each, f"round {number} of {total}{detail}")
