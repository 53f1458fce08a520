"""A distribution of losses that is learned while networks train: what a space brings for a search in lock-step."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

# JSON values, in which every float comes back exactly, so that a killed search goes on with the same bits.
DistributionState = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Pure functions: the state goes in and comes out.

    Attributes:
      start: `() -> state` before anything is learned.
      sample: `(state, generator, count) -> candidates`, of the generator alone.
      update: `(state, candidates, rewards) -> state`; rewards are float `[B]`, the higher the better, NaN where a network was
        stopped, with one finite number at least.
      centre: `(state) -> candidate`, the loss in the middle.
      numbers: `(state) -> {name: numbers}`, what is drawn over time, group by group.
      write_schedule: `([(epochs done at its end, candidate), ...], docstring) -> text` of a Python module that stands alone:
        the losses as one that depends on the epoch. None where it cannot be written.
    """

    start: Callable[[], DistributionState]
    sample: Callable[[DistributionState, np.random.Generator, int], Sequence[Mapping[str, Any]]]
    update: Callable[[DistributionState, Sequence[Mapping[str, Any]], np.ndarray], DistributionState]
    centre: Callable[[DistributionState], Mapping[str, Any]]
    numbers: Callable[[DistributionState], Mapping[str, Sequence[float]]]
    write_schedule: Callable[[Sequence[tuple[float, Mapping[str, Any]]], str], str] | None = None
