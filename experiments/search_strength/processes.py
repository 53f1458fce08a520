"""Calls side by side, each process on a core of its own."""

import concurrent.futures
import multiprocessing
import os
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
    with concurrent.futures.ProcessPoolExecutor(processes, context, _on_one_core, (free,)) as pool:
        for done in [pool.submit(function, *arguments) for function, arguments in calls]:
            yield done.result()


def _on_one_core(free: Any) -> None:
    """Before XLA makes its threads, of which it has one for each core that it may use."""
    core = free.get()
    if core is not None:
        os.sched_setaffinity(0, {core})
