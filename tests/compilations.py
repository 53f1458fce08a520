"""Counts what XLA compiles, whoever asked for it: the one place where tests look behind the public face for that."""

import contextlib
from collections.abc import Iterator

import jax

_LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"
_counters: list[list[str]] = []


def _listen(event: str, seconds: float, **_: object) -> None:
    if event == _LOWERED:
        for counter in _counters:
            counter.append(event)


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """A list that grows by one entry for every program that is compiled inside, a single operation included."""
    counter: list[str] = []
    _counters.append(counter)
    try:
        yield counter
    finally:
        _counters.remove(counter)
