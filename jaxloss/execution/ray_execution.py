"""Trials on the workers of a Ray cluster; this process judges, and holds the archive."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor

from jaxloss.core.types import PyTree
from jaxloss.execution.base import Execution, Trial
from jaxloss.execution.choice import Parallelism
from jaxloss.execution.worker import Recipe, sendable
from jaxloss.execution.worker_pool import WorkerPool
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import Outcome, StateHandle


class RayExecution:
    """Carries trials out on workers that are made from names, each with a device of its own.

    A trial gives on a worker what it gives here, on a device of the same kind. A worker that dies loses no trial: another one
    begins it again.
    """

    def __init__(
        self,
        local: Execution,
        settings: TrainingSettings,
        recipe: Recipe,
        parallelism: Parallelism,
        address: str = "",
        num_workers: int = 0,
    ):
        """Args:
        local: of this process, of the same parallelism: it checks trials, and scores untrained networks.
        settings: everything but the learning rate.
        recipe: of the workers' parts.
        parallelism: of each worker, over one device.
        address: of the cluster, see `cluster.connect`.
        num_workers: 0 for as many as the cluster has places.

        Raises:
          UserError: see `cluster.connect`.
        """
        self._local, self._settings = local, settings
        self._pool = WorkerPool.opened(address, recipe, parallelism, num_workers)
        self._lanes = parallelism.lanes

    def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Outcome, float]]:
        """See `Execution.run`. Where lanes are batched, a worker is given as many trials as it has lanes."""
        self._local.check(trials)
        # A short list is shared by all workers.
        size = max(1, min(self._lanes, -(-len(trials) // self._pool.num_workers)))
        batches = [list(map(sendable, trials[first : first + size])) for first in range(0, len(trials), size)]
        for answer in self._pool.run(batches, self._settings):
            yield from answer.results

    @property
    def pool(self) -> Executor:
        """See `Execution`; threads of this process."""
        return self._local.pool

    @property
    def workers(self) -> int:
        """See `Execution`; threads of this process."""
        return self._local.workers

    @property
    def at_once(self) -> int:
        """See `Execution`."""
        return self._pool.num_workers * self._lanes

    @property
    def compilations(self) -> dict[str, int]:
        """See `Execution.compilations`; of all workers together."""
        counted: dict[str, int] = {}
        for of_worker in self._pool.compilations.values():
            for name, number in of_worker.items():
                counted[name] = counted.get(name, 0) + number
        return dict(sorted(counted.items()))

    def check(self, trials: Sequence[Trial]) -> None:
        """See `Execution.check`."""
        self._local.check(trials)

    def data(self, division: int) -> PyTree:
        """See `Execution.data`; on the device of this process."""
        return self._local.data(division)

    def untrained_scores(self, seed: int, division: int, evaluate_on: str = SEARCH_EVAL) -> Mapping[str, float]:
        """See `Execution.untrained_scores`."""
        return self._local.untrained_scores(seed, division, evaluate_on)

    def handle_like(self, division: int) -> StateHandle:
        """See `Execution.handle_like`."""
        return self._local.handle_like(division)

    def num_steps(self, division: int) -> int:
        """See `Execution.num_steps`."""
        return self._local.num_steps(division)

    def steps_per_epoch(self, division: int) -> int:
        """See `Execution.steps_per_epoch`."""
        return self._local.steps_per_epoch(division)

    def first_steps(self, trials: Sequence[Trial], num_steps: int) -> int:
        """See `Execution.first_steps`; the trials are dealt to the workers."""
        sent, number = list(map(sendable, trials)), self._pool.num_workers
        dealt = [sent[first::number] for first in range(min(number, len(sent)))]
        return sum(self._pool.on_all("first_steps", [(one, num_steps, self._settings) for one in dealt]))

    def close(self) -> None:
        """Ends the threads, and with the last execution of a run the workers."""
        self._pool.close()
        self._local.close()
