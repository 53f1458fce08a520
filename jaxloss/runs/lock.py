"""A lock on a run directory that ends with the process, however the process ends."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path

_held: set[int] = set()


def _forget_in_child() -> None:
    # A forked worker shares the lock and would keep it after its parent was killed.
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class LockHeldError(Exception):
    """Another process (or another open run of this process) has the lock; the message names it."""


class Lock:
    """An exclusive lock on a file; the kernel frees it when the process ends, also by kill -9."""

    def __init__(self, path: Path):
        """Takes the lock and writes `pid on host` into the file, which stays there when the lock is free again.

        Raises:
          LockHeldError: somebody else has it.
          OSError: the file cannot be made, or its file system knows no locks.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, f"{os.getpid()} on {socket.gethostname()}\n".encode())
        except BlockingIOError:
            holder = os.read(self._descriptor, 400).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise LockHeldError(f"process {holder}" if holder else "another process") from None
        except BaseException:
            os.close(self._descriptor)
            raise
        _held.add(self._descriptor)

    def release(self) -> None:
        """Gives the lock back; a second call does nothing."""
        if self._descriptor in _held:
            _held.remove(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = -1
