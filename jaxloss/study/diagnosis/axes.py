"""Along which number a loss is looked at: what it says of one position of a batch as that gets better or worse.

The other positions stay as they are, so that losses which look across the batch are seen at work in one.
"""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from jaxloss.core.family import BranchInputs
from jaxloss.core.types import Array, LossInputs

PROBABILITY, COSINE, ERROR = "probability", "cosine", "error"
_OF_PROBABILITIES = (0.0, 1.0)
# Only a target of a single class says which of the numbers should grow.
_ONE_HOT = 0.999
_SMALLEST = 1e-300  # whose logarithm is finite


@dataclasses.dataclass(frozen=True)
class Axis:
    """One number of one position of a batch.

    Attributes:
      kind: `PROBABILITY` of the true class, `COSINE` to the own class, or `ERROR`, prediction minus target.
      branch: whose inputs.
      place: `(n, h, w, c)` of the number in the arrays of the branch.
      independent: of probabilities: each class is a question of its own, so that the others stay as they are; else they share
        what is left.
    """

    kind: str
    branch: str
    place: tuple[int, int, int, int]
    independent: bool = False

    @property
    def grid(self) -> np.ndarray:
        """`[G]`, rising over all valid values, the ends included, and denser towards the ends of probabilities."""
        if self.kind == COSINE:
            return np.linspace(-1.0, 1.0, 161)
        if self.kind == ERROR:
            return np.linspace(-3.0, 3.0, 193)
        tail = np.logspace(-12, -2.5, 39)
        return np.concatenate([[0.0], tail, np.linspace(0.005, 0.995, 133), 1 - tail[::-1], [1.0]])

    @property
    def inner(self) -> np.ndarray:
        """Bool `[G]`: where a training spends its time, the last thousandths of probabilities left out."""
        grid = self.grid
        return (grid >= 1e-3) & (grid <= 1 - 1e-3) if self.kind == PROBABILITY else np.ones(len(grid), bool)

    @property
    def expected(self) -> np.ndarray:
        """`[G]`, the sign that the slope should have: losses fall as a probability or a cosine grows, or an error gets less."""
        return np.sign(self.grid) if self.kind == ERROR else np.full(len(self.grid), -1.0)

    def moved(self, inputs: BranchInputs, x: Array) -> BranchInputs:
        """The inputs of a batch with the number at `x`."""
        own = inputs[self.branch]
        if self.kind == PROBABILITY:
            row = self._row(own, x)
            logits = jnp.log(jnp.maximum(row, _SMALLEST))
            return self._with_row(inputs, row, logits - jnp.log1p(-row) if self.independent else logits)
        name = "cosine" if self.kind == COSINE else "prediction"
        value = x if self.kind == COSINE else own.arrays["target"][self.place] + x
        arrays = {**own.arrays, name: own.arrays[name].at[self.place].set(value)}
        return {**inputs, self.branch: dataclasses.replace(own, arrays=arrays)}

    def logits(self, inputs: BranchInputs, x: Array) -> Array:
        """The logits `[C]` of the position when its true class has the probability `x`, which is neither 0 nor 1."""
        row = self._row(inputs[self.branch], x)
        return jnp.log(row / (1 - row)) if self.independent else jnp.log(row)

    def with_logits(self, inputs: BranchInputs, logits: Array) -> BranchInputs:
        """The inputs of a batch with these logits `[C]` at the position."""
        row = 1 / (1 + jnp.exp(-logits)) if self.independent else jnp.exp(logits) / jnp.exp(logits).sum()
        return self._with_row(inputs, row, logits)

    def cross_entropy_by_logits(self, inputs: BranchInputs) -> np.ndarray:
        """`[G]`, of probabilities: the norm of cross-entropy's gradient with respect to the logits, prediction minus target."""
        row = np.asarray(inputs[self.branch].arrays["prediction"])[self.place[:3]]
        own = np.arange(len(row)) == self.place[3]
        left = 1 - self.grid[:, None]
        others = row if self.independent else left / max(1, len(row) - 1)
        return np.linalg.norm(np.where(own, -left, others), axis=-1)

    def _row(self, own: LossInputs, x: Array) -> Array:
        row = own.arrays["prediction"][self.place[:3]]
        chosen = jnp.arange(len(row)) == self.place[3]
        others = row if self.independent else (1 - x) / max(1, len(row) - 1)
        return jnp.where(chosen, x, others)

    def _with_row(self, inputs: BranchInputs, row: Array, logits: Array) -> BranchInputs:
        own = inputs[self.branch]
        given = {name: values for name, values in (("prediction", row), ("logits", logits)) if name in own.arrays}
        arrays = {**own.arrays, **{name: own.arrays[name].at[self.place[:3]].set(values) for name, values in given.items()}}
        return {**inputs, self.branch: dataclasses.replace(own, arrays=arrays)}


def axes_of(
    inputs: BranchInputs, ranges: Mapping[str, Mapping[str, tuple[float, float]]], independent: tuple[str, ...] = ()
) -> list[Axis]:
    """An axis for each branch whose losses can be looked at along one; branches of other inputs have none.

    Args:
      inputs: of one batch.
      ranges: see `Task.ranges`.
      independent: see `Task.independent_classes`.
    """
    found = (_axis_of(branch, own, ranges.get(branch, {}), branch in independent) for branch, own in inputs.items())
    return [axis for axis in found if axis is not None]


def _axis_of(branch: str, inputs: LossInputs, ranges: Mapping[str, tuple[float, float]], independent: bool) -> Axis | None:
    arrays = inputs.arrays
    if "target" not in arrays or not {"cosine", "prediction"} & arrays.keys():
        return None
    target = np.where(np.asarray(inputs.mask), np.asarray(arrays["target"]), np.nan)
    if "cosine" in arrays:
        return _first(branch, COSINE, target > _ONE_HOT, False)
    if "prediction" not in ranges:
        return _first(branch, ERROR, np.isfinite(target), False)
    if tuple(ranges["prediction"]) != _OF_PROBABILITIES or (target.shape[-1] < 2 and not independent):
        return None
    return _first(branch, PROBABILITY, target > _ONE_HOT, independent)


def _first(branch: str, kind: str, possible: np.ndarray, independent: bool) -> Axis | None:
    places = np.argwhere(possible)
    return Axis(kind, branch, tuple(map(int, places[0])), independent) if len(places) else None
