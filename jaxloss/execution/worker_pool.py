"""Workers on a Ray cluster: each is given the next batch of trials as it is done, and what a dead one had goes to another."""

import collections
import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import Parallelism
from jaxloss.execution.cluster import Cluster, connect
from jaxloss.execution.worker import Answer, RayWorker, Recipe
from jaxloss.tasks.settings import TrainingSettings

# A batch of trials that ends so many workers is the cause.
MOST_DEATHS = 3
_BEGIN_SECONDS = 300
_LOOK_EVERY = 5


@dataclasses.dataclass
class _Call:
    """What a worker is at: its beginning, or a batch by its number, None where nobody waits for it any more."""

    worker: Any
    batch: int | None = None
    begins: bool = False


class WorkerPool:
    """Workers with equal parts, shared by all executions of a run. Made by `WorkerPool.opened`."""

    _open: "WorkerPool | None" = None

    def __init__(self, cluster: Cluster, recipe: Recipe, parallelism: Parallelism, num_workers: int):
        """Starts the workers, and waits for none.

        Args:
          cluster: that they run on.
          recipe: of their parts.
          parallelism: of each; of one device.
          num_workers: how many; 0 for one on each place of the cluster.
        """
        import ray

        self._ray, self._cluster = ray, cluster
        self.key, self._users = (recipe, parallelism), 0
        self.num_workers = num_workers or max(1, cluster.places)
        self.compilations: dict[Any, dict[str, int]] = {}
        self._kind = ray.remote(RayWorker).options(**cluster.needs)
        self._idle: list[Any] = []
        self._calls: dict[Any, _Call] = {}
        self._failures = 0  # workers that ended as they began, since one did better
        for _ in range(self.num_workers):
            self._begin_worker()

    @classmethod
    def opened(cls, address: str, recipe: Recipe, parallelism: Parallelism, num_workers: int) -> "WorkerPool":
        """The pool of this process with such workers, to be closed as often as it was opened.

        Raises:
          UserError: see `cluster.connect`.
        """
        if cls._open is None or cls._open.key != (recipe, parallelism):
            cls._open = cls(connect(address, num_workers), recipe, parallelism, num_workers)
        cls._open._users += 1
        return cls._open

    def close(self) -> None:
        """Ends the workers, with its last user."""
        self._users -= 1
        if self._users > 0:
            return
        for worker in (*self._idle, *(call.worker for call in self._calls.values())):
            self._ray.kill(worker)
        self._idle, self._calls = [], {}
        if WorkerPool._open is self:
            WorkerPool._open = None
        self._cluster.close()

    def run(self, batches: Sequence[Sequence[Trial]], settings: TrainingSettings) -> Iterator[Answer]:
        """Yields what became of each batch, in their order, each as soon as it and all before it are done.

        Raises:
          UserError: a worker cannot be made, or a batch cannot be carried out.
        """
        waiting, done = collections.deque(range(len(batches))), {}
        deaths: collections.Counter[int] = collections.Counter()
        began = time.monotonic()
        try:
            for wanted in range(len(batches)):
                while wanted not in done:
                    while waiting and self._idle:
                        batch, worker = waiting.popleft(), self._idle.pop()
                        self._calls[worker.run.remote(batches[batch], settings)] = _Call(worker, batch)
                    for batch, answer in self._returned():
                        if answer is not None:
                            done[batch] = answer
                            continue
                        deaths[batch] += 1
                        if deaths[batch] == MOST_DEATHS:
                            raise UserError(
                                f"{MOST_DEATHS} workers of the Ray cluster died of one training: perhaps it needs more memory "
                                "than a worker has; see the logs of Ray"
                            )
                        waiting.appendleft(batch)
                    self._check_began(began)
                yield done.pop(wanted)
        finally:
            for call in self._calls.values():
                call.batch = None

    def on_all(self, method: str, argument_lists: Sequence[Sequence[Any]]) -> list[Any]:
        """What a method of the workers returns, each with arguments of its own; waits until there are so many workers."""
        while len(self._idle) < len(argument_lists):
            list(self._returned())
        calls = [
            getattr(worker, method).remote(*arguments) for worker, arguments in zip(self._idle, argument_lists, strict=False)
        ]
        return self._ray.get(calls)

    def _returned(self) -> Iterator[tuple[int, Answer | None]]:
        """Waits for a call to end, a while at most; gives the batches that came back, None for one whose worker died."""
        ready, _ = self._ray.wait(list(self._calls), timeout=_LOOK_EVERY)
        errors = self._ray.exceptions
        for reference in ready:
            call = self._calls.pop(reference)
            try:
                answer = self._ray.get(reference)
            except (errors.RayActorError, errors.ObjectLostError, errors.NodeDiedError) as error:
                if call.begins:
                    self._count_failure(error)
                # One that cannot be reached for a while may still hold a device.
                self._ray.kill(call.worker)
                self._begin_worker()
                answer = None
            else:
                self._failures = 0
                self._idle.append(call.worker)
                self.compilations[call.worker] = dict(answer.compilations)
                if answer.mistake is not None:
                    raise UserError(answer.mistake)
            if call.batch is not None:
                yield call.batch, answer

    def _begin_worker(self) -> None:
        recipe, parallelism = self.key
        worker = self._kind.remote(recipe, parallelism)
        self._calls[worker.begun.remote()] = _Call(worker, begins=True)

    def _count_failure(self, error: Exception) -> None:
        """Workers that end as they begin, one after the other, will not do better."""
        self._failures += 1
        if self._failures == MOST_DEATHS:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise UserError(
                "the workers of the Ray cluster end as they begin: is jaxloss installed there as it is here? The last one said: "
                f"{lines[-1].strip() if lines else type(error).__name__}"
            ) from error

    def _check_began(self, began: float) -> None:
        """Whether any worker has ever begun, or may still: the cluster may have no place for one."""
        if self.compilations or time.monotonic() - began < _BEGIN_SECONDS:
            return
        raise UserError(
            f"no worker began within {_BEGIN_SECONDS} seconds: the Ray cluster has no free place with "
            f"{ {name: need for name, need in self._cluster.needs.items() if name != 'runtime_env'} }; see `ray status`"
        )
