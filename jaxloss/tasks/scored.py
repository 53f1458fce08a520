"""What a task is scored by: compiled metrics, and those of the host that look at a whole split."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.host_metrics import HostMetrics

# `(predictions [M, ...], targets [M, ...]) -> number`, of NumPy arrays.
HostFunction = Callable[[np.ndarray, np.ndarray], float]


@dataclasses.dataclass(frozen=True)
class Scored:
    """What a task is scored by.

    Attributes:
      metric: the name of the one that a search maximises.
      also_shown: names of those that tables show beside it.
      metrics: name -> compiled function of what a network gives and the targets.
      on_host: name -> function of the predictions and targets of a whole split.
    """

    metric: str
    also_shown: tuple[str, ...]
    metrics: Mapping[str, Callable[[Array, Array], Array]]
    on_host: Mapping[str, HostFunction] = dataclasses.field(default_factory=dict)

    def host_metrics(
        self,
        predict: Callable[[PyTree, PyTree], Array],
        targets: Callable[[PyTree], np.ndarray],
        batch_size: int,
    ) -> HostMetrics | None:
        """The metrics of the host as a part of a task; None where there are none.

        Args:
          predict: `(variables, examples) -> predictions [n, ...]`, jittable.
          targets: `(examples) -> targets [n, ...]`, of NumPy arrays.
          batch_size: examples at a time.
        """
        if not self.on_host:
            return None

        def accumulate(state: list[Any], predictions: np.ndarray, examples: PyTree) -> list[Any]:
            state.append((predictions, targets(examples)))
            return state

        def compute(state: list[Any]) -> dict[str, float]:
            given = [np.concatenate(parts) for parts in zip(*state, strict=True)]
            return {name: float(function(*given)) for name, function in self.on_host.items()}

        return HostMetrics(tuple(self.on_host), predict, list, accumulate, compute, batch_size)
