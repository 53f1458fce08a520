"""Runs of a sweep on the machines of a Ray cluster, each in a process that has one device."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxloss.execution.cluster import Cluster
from jaxloss.sweeps.work import start_process

# A run whose machine is lost begins so many times more, from its archive.
_MOST_RETRIES = 3


class ClusterProcess:
    """A run on the cluster, seen like a process of this machine; see `work.Process`."""

    def __init__(self, reference: Any):
        """Args:
        reference: Ray's, of the exit code.
        """
        import ray

        self._ray, self._reference = ray, reference

    def poll(self) -> int | None:
        """The exit code, or None while it works, or waits for a place."""
        ready, _ = self._ray.wait([self._reference], timeout=0)
        return self.wait() if ready else None

    def send_signal(self, number: int) -> None:
        """Asks it to stop, whatever the signal is: as by a Ctrl-C."""
        del number
        self._ray.cancel(self._reference)

    def wait(self) -> int:
        """Waits for its exit code: that of a killed process where it was stopped, or its machine lost again and again."""
        try:
            return self._ray.get(self._reference)
        except self._ray.exceptions.RayError:
            return -signal.SIGKILL


def on_cluster(cluster: Cluster) -> Callable[[Sequence[str], Path], ClusterProcess]:
    """Starts runs on a cluster, whose machines share the folder of the sweep, see `work.Start`."""
    import ray

    task = ray.remote(_run).options(**cluster.needs, max_retries=_MOST_RETRIES)

    def start(command: Sequence[str], log: Path) -> ClusterProcess:
        # The Python of the machine that it runs on; paths as they are here.
        return ClusterProcess(task.remote(list(command[1:]), str(Path.cwd()), str(log.resolve())))

    return start


def _run(arguments: Sequence[str], folder: str, log: str) -> int:
    """Carries a command out in a folder; returns its exit code. Where it is cancelled, the run is stopped as by a Ctrl-C."""
    os.chdir(folder)
    process: subprocess.Popen = start_process([sys.executable, *arguments], Path(log), os.environ)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        return process.wait()
