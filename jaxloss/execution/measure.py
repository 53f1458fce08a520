"""How fast an execution trains, from its first few steps."""

import dataclasses
import itertools
import time
from collections.abc import Sequence

from jaxloss.execution.base import Execution, Trial

REPEATS = 3
# Shorter than this, the steps cannot be told from the scatter of a call.
LEAST_SECONDS = 0.02


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long a list of trials takes.

    Attributes:
      compile_seconds: of the first call, beyond what a later call takes.
      start_seconds: of one list of trials up to its first step.
      step_seconds: of one step of one training, all of them together: wall time by steps that were done.
      trials: in the list.
    """

    compile_seconds: float
    start_seconds: float
    step_seconds: float
    trials: int

    def candidates_per_hour(self, num_steps: int) -> float:
        """Trainings of so many steps in an hour; their scores are not counted in."""
        return 3600 / (self.start_seconds / self.trials + (num_steps - 1) * self.step_seconds)


def that_train(execution: Execution, trials: Sequence[Trial], num_steps: int) -> list[Trial]:
    """Those trials that do so many steps, or all where none does: what meets NaN does no steps that could be timed."""
    return [trial for trial in trials if execution.first_steps([trial], num_steps) == num_steps] or list(trials)


def measure(execution: Execution, trials: Sequence[Trial], num_steps: int) -> Timing:
    """Times the first steps of as many trials as the execution takes at once, the given ones in turn.

    The time of a first step is subtracted, so that what comes before it does not count as a step. Where the rest drowns in the
    scatter of that time, more steps are taken; where the training has no more, what comes before counts as steps too: no mode
    looks faster than it was seen to be.

    Args:
      execution: that is timed.
      trials: that train, see `that_train`.
      num_steps: 2 at least.
    """
    trials = list(itertools.islice(itertools.cycle(trials), execution.at_once))

    def timed(count: int) -> tuple[float, int]:
        started = time.perf_counter()
        steps = execution.first_steps(trials, count)
        return time.perf_counter() - started, steps

    first, _ = timed(1)
    starts = [timed(1) for _ in range(REPEATS)]
    start, start_steps = min(starts)
    least = max(LEAST_SECONDS, 2 * (max(starts)[0] - start))
    whole, steps = min(timed(num_steps) for _ in range(REPEATS))
    while whole - start < least:
        num_steps *= 2
        longer, more = min(timed(num_steps) for _ in range(REPEATS))
        if more == steps:
            return Timing(max(0.0, first - start), start, whole / max(1, steps), len(trials))
        whole, steps = longer, more
    return Timing(max(0.0, first - start), start, (whole - start) / max(1, steps - start_steps), len(trials))
