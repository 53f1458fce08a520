"""The scores of a network on a split: those of a compiled function, and those that the host computes."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import Task


class Evaluation:
    """Both parts of a task's evaluation, each compiled once. Safe to call from several threads."""

    def __init__(self, task: Task):
        self.task = task
        self._on_host: dict[int, tuple[PyTree, PyTree]] = {}

    def __call__(self, variables: PyTree, examples: PyTree, finite: Array | bool) -> Mapping[str, Array | float]:
        """All scores of one network; those of the host only where the training is finite."""
        scores = {} if self.task.scores is None else self._scores(variables, examples)
        if self.task.host_metrics is None or not finite:
            return scores

        def predictions(first: int) -> list[PyTree]:
            return [jax.device_get(self._predict(variables, examples, jnp.int32(first)))]

        (of_host,) = self.task.host_metrics.scores(predictions, self.on_host(examples))
        return {**scores, **of_host}

    def shown(self, variables: PyTree, examples: PyTree) -> Mapping[str, np.ndarray] | None:
        """What `Task.pictures` keeps of a network, in NumPy arrays; None where the task has none."""
        if self.task.pictures is None:
            return None
        return jax.device_get(self._shown(variables, self.task.pictures.choose(examples)))

    def on_host(self, examples: PyTree, part: Callable[[PyTree], PyTree] = lambda examples: examples) -> PyTree:
        """A split in NumPy arrays, copied once; `part` takes one device's share where it has an axis for the devices."""
        if id(examples) not in self._on_host:
            # With the split itself, so that no other one gets its identity.
            self._on_host[id(examples)] = examples, jax.device_get(part(examples))
        return self._on_host[id(examples)][1]

    @functools.cached_property
    def _scores(self):
        """`(variables, examples) -> {name: scalar}`."""
        return jax.jit(self.task.scores)

    @functools.cached_property
    def _predict(self):
        """`(variables, examples, first row) -> predictions`."""
        return jax.jit(self.task.host_metrics.predict_rows)

    @functools.cached_property
    def _shown(self):
        """`(variables, few examples) -> outputs`."""
        return jax.jit(self.task.pictures.predict)
