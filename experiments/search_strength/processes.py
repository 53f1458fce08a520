"""Calls side by side, each process on a core of its own."""

import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def in_processes(calls: Sequence[tuple[Callable[..., Any], tuple]], processes: int) -> Iterator[Any]:
    """What each function returns for its arguments, in their order; one process is this one."""
    if processes == 1:
        yield from (function(*arguments) for function, arguments in calls)
        return
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    context = multiprocessing.get_context("spawn")
    free = context.Queue()
    for place in range(processes):
        free.put(cores[place % len(cores)] if cores else None)
    with concurrent.futures.ProcessPoolExecutor(processes, context, _begin, (free,)) as pool:
        for done in [pool.submit(function, *arguments) for function, arguments in calls]:
            yield done.result()


def _begin(free: Any) -> None:
    """Takes a core before XLA makes its threads, of which it has one for each that it may use."""
    core = free.get()
    if core is not None:
        os.sched_setaffinity(0, {core})
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """A search is a matter of minutes; nobody would wait for its end where the one who asked is gone."""
    multiprocessing.parent_process().join()
    os._exit(1)
