"""Ctrl-C at any moment: held back where it would abort the interpreter, sent again where it would be lost."""

import _weakrefset
import contextlib
import gc
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import NoReturn

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130


def raise_interrupt(number: int, frame) -> None:
    """Raises `KeyboardInterrupt`, as Ctrl-C does by default, but not where it would be lost."""
    # Python prints and forgets what is raised in a callback of its garbage collector (JAX has one) or of a weak reference, and
    # in a finaliser (files of NumPy have one).
    callbacks = [getattr(callback, "__code__", None) for callback in gc.callbacks]
    files = (weakref.__file__, _weakrefset.__file__)
    while frame is not None:
        code = frame.f_code
        if code in callbacks or code.co_filename in files or code.co_name == "__del__":
            threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def raise_interrupts() -> None:
    """From now on Ctrl-C raises `KeyboardInterrupt`, and so does a termination asked for politely."""
    for number in INTERRUPTS:
        signal.signal(number, raise_interrupt)


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Holds interrupts back until the end of the block, where they do what they would have done in it.

    One that meets JAX's import can abort the interpreter; one that meets orbax while it saves closes what a thread of orbax still
    needs, which prints a traceback. Interrupts come to the main thread alone: in others there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    # Handlers that are not Python's cannot be put back.
    own = [number for number in INTERRUPTS if signal.getsignal(number) is not None]
    handlers = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in own}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in caught:
            signal.raise_signal(number)


def leave(exit_code: int) -> NoReturn:
    """Ends the process, after an interrupt at once."""
    if exit_code == INTERRUPTED:
        # A thread may still be inside a compiled call, and tearing the interpreter down under it can crash.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    sys.exit(exit_code)
