"""Pictures of what networks make of a few test examples, which a task may offer to reports."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import numpy as np

from jaxloss.core.types import Array, PyTree


@dataclasses.dataclass(frozen=True)
class LegendEntry:
    """An entry of the legend of pictures.

    Attributes:
      words: what is shown so.
      swatch: a small picture of it, uint8 `[h, w, 3]`.
    """

    words: str
    swatch: np.ndarray


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Pictures side by side: a row for each example.

    Attributes:
      columns: title -> uint8 `[n, h, w, 3]`, from left to right.
      legend: what the colours mean.
      note: what is to be said of all of them, a sentence or two; empty for nothing.
    """

    columns: Mapping[str, np.ndarray]
    legend: tuple[LegendEntry, ...] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """How a task shows networks at work.

    Attributes:
      predict: `(variables, examples) -> {name: array}`, what a network makes of a few examples, small arrays `[n, ...]`, which
        the archive of a run keeps; jittable, in evaluation mode.
      draw: `(examples, {name: outputs}) -> Sheet`, on the host, in NumPy arrays; columns of the examples themselves stand first,
        then one under the name of each network.
      most: examples that are shown.
    """

    predict: Callable[[PyTree, PyTree], Mapping[str, Array]]
    draw: Callable[[PyTree, Mapping[str, Mapping[str, np.ndarray]]], Sheet]
    most: int = 4

    def choose(self, examples: PyTree) -> PyTree:
        """The rows of a split that are shown: spread evenly, whatever they hold.

        Args:
          examples: arrays `[M, ...]`.

        Returns:
          Arrays `[min(most, M), ...]`.
        """
        total = jax.tree.leaves(examples)[0].shape[0]
        count = min(self.most, total)
        rows = ((2 * np.arange(count) + 1) * total) // (2 * count)
        return jax.tree.map(lambda leaf: leaf[rows], examples)
