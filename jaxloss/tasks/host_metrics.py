"""Metrics that no compiled function can compute: average precision of COCO, whatever scikit-learn has, files of a challenge."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxloss.core.abstract import named_errors, numbers_by_name
from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree


@dataclasses.dataclass(frozen=True)
class HostMetrics:
    """Scores in two steps: compiled predictions of a few examples at a time, and an account of them on the host.

    Attributes:
      names: of the scores that `compute` gives; `Task.metric` may be one of them.
      predict: `(variables, examples) -> predictions`, pytrees of arrays `[batch_size, ...]`; jittable, in evaluation mode.
      start: `() -> state`, the account before the first prediction.
      accumulate: `(state, predictions, examples) -> state`, all in NumPy arrays `[n, ...]` with `n <= batch_size`; a state may
        be changed in place.
      compute: `(state) -> {name: number}`.
      batch_size: examples at a time.
    """

    names: tuple[str, ...]
    predict: Callable[[PyTree, PyTree], PyTree]
    start: Callable[[], Any]
    accumulate: Callable[[Any, PyTree, PyTree], Any]
    compute: Callable[[Any], Mapping[str, float]]
    batch_size: int = 100

    def __post_init__(self):
        if self.batch_size < 1:
            raise UserError(f"the batch_size of host metrics must be at least 1, not {self.batch_size}")

    def predict_rows(self, variables: PyTree, examples: PyTree, first: Array) -> PyTree:
        """Predictions `[batch_size, ...]` of the rows from `first` on; beyond the last row it is repeated (pure)."""
        last = jax.tree.leaves(examples)[0].shape[0] - 1
        rows = jnp.minimum(first + jnp.arange(self.batch_size), last)
        return self.predict(variables, jax.tree.map(lambda leaf: leaf[rows], examples))

    def scores(self, predictions: Callable[[int], Sequence[PyTree]], examples: PyTree) -> list[dict[str, float]]:
        """The scores of one network or of several, on the host.

        Args:
          predictions: `(first row) -> what predict_rows gave`, for each network, in NumPy arrays.
          examples: the whole split in NumPy arrays `[M, ...]`.

        Raises:
          UserError: `compute` gives other names than it should; one that says what `start`, `accumulate` or `compute` raises.
        """
        total, states = jax.tree.leaves(examples)[0].shape[0], None
        for first in range(0, total, self.batch_size):
            count = min(self.batch_size, total - first)
            part = jax.tree.map(lambda leaf, first=first, count=count: leaf[first : first + count], examples)
            found = [jax.tree.map(lambda leaf, count=count: leaf[:count], one) for one in predictions(first)]
            with named_errors("host_metrics of the task"):
                states = states or [self.start() for _ in found]
                states = [self.accumulate(state, one, part) for state, one in zip(states, found, strict=True)]
            if any(state is None for state in states):
                raise UserError("host_metrics.accumulate of the task must give the state, also one that it changes in place")
        with named_errors("host_metrics.compute of the task"):
            computed = [self.compute(state) for state in states]
        return [self._named(scores) for scores in computed]

    def _named(self, scores: Any) -> dict[str, float]:
        found = numbers_by_name("host_metrics.compute of the task", scores)
        if set(found) != set(self.names):
            raise UserError(f"the host metrics of the task are named {sorted(self.names)}, and compute gave {sorted(found)}")
        return found
