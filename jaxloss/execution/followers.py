"""Several processes that train one network together: process 0 leads, and the others do the steps that it does.

JAX connects their devices; what is to be trained is told over a connection of Python's own, which waits as long as it takes:
a leader may filter for an hour between two trainings.
"""

import dataclasses
import secrets
import socket
from collections.abc import Callable
from multiprocessing.connection import Client, Connection, Listener

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.execution.data_parallel import DataParallelExecution
from jaxloss.execution.worker import Answer, Recipe, Worker, sendable
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import Outcome

_KEY_BYTES, _MOST_HOST_BYTES = 32, 256


class Followers:
    """The other processes, as the leader sees them; shared by all executions of a run. Made by `Followers.opened`."""

    _open: "Followers | None" = None

    def __init__(self):
        """Waits for all of them.

        Raises:
          UserError: one of them cannot make its parts.
        """
        self._users = 0
        host, key = socket.gethostbyname(socket.gethostname()), secrets.token_bytes(_KEY_BYTES)
        with Listener(("", 0), authkey=key, backlog=jax.process_count()) as listener:
            _broadcast(f"{host}:{listener.address[1]}".encode(), key)
            self._connections: list[Connection] = [listener.accept() for _ in range(jax.process_count() - 1)]
        for connection in self._connections:
            if (mistake := connection.recv().mistake) is not None:
                raise UserError(mistake)

    @classmethod
    def opened(cls) -> "Followers":
        """Those of this process, to be closed as often as they were opened."""
        if cls._open is None:
            cls._open = cls()
        cls._open._users += 1
        return cls._open

    def tell(self, trial: Trial, settings: TrainingSettings) -> None:
        """Has them do the steps of a trial; its score and its end are the leader's."""
        message = ([dataclasses.replace(sendable(trial), evaluate_on=None, keep_end=False, show=False)], settings)
        for connection in self._connections:
            connection.send(message)

    def close(self) -> None:
        """Lets them go, with the last user."""
        self._users -= 1
        if self._users > 0:
            return
        for connection in self._connections:
            connection.send(None)
            connection.close()
        Followers._open = None


class LeadingExecution(DataParallelExecution):
    """Trains one network after the other on the devices of all processes; that of process 0."""

    def __init__(self, *arguments):
        """Args:
        *arguments: of a `DataParallelExecution`.

        Raises:
          UserError: see `Followers`.
        """
        super().__init__(*arguments)
        self._followers = Followers.opened()

    def _run_one(self, trial: Trial) -> tuple[Outcome, float]:
        self._followers.tell(trial, self._settings)
        return super()._run_one(trial)

    def _first_steps(self, trial: Trial, num_steps: int) -> int:
        left = self.num_steps(trial.division) - trial.steps_before
        self._followers.tell(dataclasses.replace(trial, num_steps=min(num_steps, left)), self._settings)
        return super()._first_steps(trial, num_steps)

    def close(self) -> None:
        """See `Execution.close`."""
        self._followers.close()
        super().close()


def follow(recipe: Recipe, make: Callable[..., DataParallelExecution]) -> None:
    """Does what the leader does until it lets this process go, or is gone.

    Args:
      recipe: of the parts, that of the leader.
      make: see `Worker`.

    Raises:
      UserError: a part cannot be made here.
    """
    where, key = _broadcast(b"", b"")
    host, _, port = where.decode().rpartition(":")
    with Client((host, int(port)), authkey=key) as leader:
        try:
            worker = Worker(recipe, make)
        except UserError as error:
            leader.send(Answer(mistake=f"process {jax.process_index()} on {socket.gethostname()}: {error}"))
            raise
        leader.send(Answer())
        try:
            while (message := leader.recv()) is not None:
                worker.run(*message)
        except EOFError:
            return  # a leader that was stopped; what it had stored it goes on from


def _broadcast(where: bytes, key: bytes) -> tuple[bytes, bytes]:
    """What process 0 says: at which address it listens, and the key by which it is known."""
    said = np.zeros(_MOST_HOST_BYTES + _KEY_BYTES, np.uint8)
    said[: len(where)], said[_MOST_HOST_BYTES : _MOST_HOST_BYTES + len(key)] = np.frombuffer(where, np.uint8), list(key)
    found = np.asarray(multihost_utils.broadcast_one_to_all(said)).astype(np.uint8).tobytes()
    return found[:_MOST_HOST_BYTES].rstrip(b"\0"), found[_MOST_HOST_BYTES:]
