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


def holder_of(path: Path) -> str | None:
    """Who has the lock on a file, in words; None where nobody has it. The file is only read, and not made where it is not."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    except OSError:
        return None  # a file system without locks, of which the run itself will speak
    finally:
        os.close(descriptor)
    return None


def _holder(descriptor: int) -> str:
    holder = os.read(descriptor, 400).decode(errors="replace").strip()
    return f"process {holder}" if holder else "another process"


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
            holder = _holder(self._descriptor)
            os.close(self._descriptor)
            raise LockHeldError(holder) from None
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
