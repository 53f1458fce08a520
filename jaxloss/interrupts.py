"""Ctrl-C at any moment: held back where it would abort the interpreter, sent again where it would be lost."""

import _weakrefset
import contextlib
import gc
import os
import signal
import threading
import weakref
from collections.abc import Iterator


def raise_interrupt(number: int, frame) -> None:
    """Raises `KeyboardInterrupt`, as Ctrl-C does by default, but not where it would be lost."""
    # Python prints and forgets what is raised in a callback of its garbage collector (JAX has one) or of a weak reference.
    callbacks = [getattr(callback, "__code__", None) for callback in gc.callbacks]
    while frame is not None:
        if frame.f_code in callbacks or frame.f_code.co_filename in (weakref.__file__, _weakrefset.__file__):
            threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Holds interrupts back until the end of the block: one that meets JAX's import can abort the interpreter."""
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt
