"""What a loss does along an axis: its value and slope, where they run away, where it falls, and what it asks of the logits."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.family import BranchInputs
from jaxloss.core.types import Array, PyTree
from jaxloss.study.diagnosis.axes import PROBABILITY, Axis

# A loss as a plain function of the inputs of a batch.
Loss = Callable[[BranchInputs], Array]

# Beyond it a value or a gradient is said to run away.
BOUND = 1e6
# Of the largest slope: less is no slope.
_FLAT = 1e-3


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One loss along one axis, float64.

    Attributes:
      axis: along which.
      value: `[G]`, the loss of the batch times its number of positions, so that one position counts as it does alone.
      slope: `[G]`, its derivative with respect to the number.
      by_logits: `[G]`, of probabilities: the norm of its gradient with respect to the logits of the position; NaN at the ends.
      pull: `[G]`, minus its derivative with respect to the logit of the true class, NaN at the ends.
    """

    axis: Axis
    value: np.ndarray
    slope: np.ndarray
    by_logits: np.ndarray
    pull: np.ndarray

    @property
    def runaways(self) -> list[tuple[str, float, float]]:
        """`(what, from, to)`: where value, slope, or the gradient by the logits are not finite, or exceed `BOUND`."""
        found = []
        for what, values in (("value", self.value), ("gradient", self.slope)):
            for kind, where in (("not finite", ~np.isfinite(values)), (f"above {BOUND:g}", _above(values))):
                found += [(f"{what} {kind}", *ends) for ends in intervals(self.axis.grid, where)]
        if self.axis.kind == PROBABILITY:
            inside = (self.axis.grid > 0) & (self.axis.grid < 1)
            wrong = inside & (~np.isfinite(self.by_logits) | _above(self.by_logits))
            found += [(f"gradient by the logits not below {BOUND:g}", *ends) for ends in intervals(self.axis.grid, wrong)]
        return found

    @property
    def courses(self) -> dict[str, list[tuple[float, float]]]:
        """`as it should`, `the wrong way` and `flat` -> intervals of the number, over the inner part of the axis."""
        inner = self.axis.inner & np.isfinite(self.slope)
        # By the logit, where there is one: to a network a slope at a probability of nearly 0 or 1 is none.
        by_network = -self.pull if self.axis.kind == PROBABILITY else self.slope
        sizes = np.abs(np.where(inner & np.isfinite(by_network), by_network, 0))
        steep = sizes > max(_FLAT * sizes.max(), 1e-12)
        right = np.sign(by_network) == self.axis.expected
        # Where an error is 0, there is no way to go.
        still = self.axis.expected == 0
        return {
            "as it should": intervals(self.axis.grid, inner & steep & right),
            "the wrong way": intervals(self.axis.grid, inner & steep & ~right & ~still),
            "flat": intervals(self.axis.grid, inner & ~steep & ~still),
        }

    @property
    def largest_by_logits(self) -> float:
        """The largest finite gradient by the logits over the inner part of the axis; NaN where it has none."""
        finite = self.by_logits[np.isfinite(self.by_logits) & self.axis.inner]
        return float(finite.max()) if len(finite) else float("nan")


def compiled(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """For a function that runs once, on little: what the compiler would spend on its speed is saved."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def sweeps(loss: Loss, inputs: BranchInputs, axes: Sequence[Axis]) -> list[Sweep]:
    """Looks at a loss along axes; to be called within `float64_on_cpu`.

    Args:
      loss: whose value is a mean over positions.
      inputs: of the batch in which the numbers are moved.
      axes: of its branches.
    """
    computed = compiled(lambda inputs: [_along(loss, inputs, axis) for axis in axes])(inputs)
    return [Sweep(axis, *map(np.asarray, one)) for axis, one in zip(axes, computed, strict=True)]


def _along(loss: Loss, inputs: BranchInputs, axis: Axis) -> tuple[Array, ...]:
    own = inputs[axis.branch]
    positions = jnp.sum(jnp.where(own.mask, own.weights, 0)) if own.normaliser is None else own.normaliser
    grid = jnp.asarray(axis.grid)
    value, slope = jax.lax.map(jax.value_and_grad(lambda x: positions * loss(axis.moved(inputs, x))), grid)
    if axis.kind != PROBABILITY:
        nothing = jnp.full_like(value, jnp.nan)
        return value, slope, nothing, nothing

    def by_logits(x: Array) -> tuple[Array, Array]:
        gradient = jax.grad(lambda logits: positions * loss(axis.with_logits(inputs, logits)))(axis.logits(inputs, x))
        return jnp.sqrt(jnp.sum(gradient**2)), -gradient[axis.place[3]]

    size, pull = jax.lax.map(by_logits, grid)
    inside = (grid > 0) & (grid < 1)
    return value, slope, jnp.where(inside, size, jnp.nan), jnp.where(inside, pull, jnp.nan)


def intervals(grid: np.ndarray, where: np.ndarray) -> list[tuple[float, float]]:
    """The stretches of a grid on which something holds, as `(first, last)` of the points."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [(float(grid[start]), float(grid[stop - 1])) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _above(values: np.ndarray) -> np.ndarray:
    return np.isfinite(values) & (np.abs(values) > BOUND)
