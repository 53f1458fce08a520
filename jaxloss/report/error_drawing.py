"""How losses of any real prediction and target are drawn: over the error, for three targets."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.base import Candidate, Space
from jaxloss.spaces.drawing import OTHER, OWN, WHOLE, Drawing, Line, Panel, Reference

_INPUTS = {"prediction", "target"}
_TARGETS, _ROLES = (-1.0, 0.0, 1.0), (OTHER, WHOLE, OWN)
_NUM_POINTS, _LARGEST = 121, 3.0
_NOTE = (
    "ŷ is the prediction, y the target, ε = 10<sup>−12</sup>. The curves are drawn over the error <i>ŷ − y</i> of one "
    "prediction, a batch of its own, where the target is −1, 0 and 1; a loss of the error alone has one and the same for all. "
    "Left: the loss, right: its derivative. Poles are cut off."
)
_SQUARED_ERROR = Reference(
    "Square(Add(prediction, Neg(target)))", "Squared error, for reference", r"\left(\hat{y} - y\right)^{2}"
)


def error_drawing_of(space: Space) -> Drawing | None:
    """How the losses of a space are drawn, or None where they read more than a prediction and a target, or have branches."""
    if len(space.branches) != 1 or not {*space.branches[0].form.inputs} <= _INPUTS:
        return None
    return Drawing(_draw, (_SQUARED_ERROR,), _NOTE, most=3)


def _draw(space: Space, candidates: Sequence[Candidate]) -> tuple[list[tuple[Panel, ...]], list[tuple[Panel, ...]]]:
    (branch,) = space.branches
    losses = [_squared_error, *(branch.form.compile(candidate[branch.name]) for candidate in candidates)]
    errors = np.linspace(-_LARGEST, _LARGEST, _NUM_POINTS)
    # One compilation for all: it costs more than everything else here.
    curves = jax.jit(lambda errors: [_curves(loss, errors) for loss in losses])(jnp.asarray(errors, jnp.float32))
    reference, *found = [_panels(errors, *map(np.asarray, pair)) for pair in curves]
    return [reference], found


def _squared_error(inputs: LossInputs) -> Array:
    return jnp.square(inputs.arrays["prediction"] - inputs.arrays["target"])


def _curves(loss: Callable[[LossInputs], Array], errors: Array) -> tuple[Array, Array]:
    """Values and derivatives, both `[3, K]`."""

    def value_at(prediction: Array, target: Array) -> Array:
        arrays = {"prediction": prediction, "target": target}
        return loss(LossInputs.create({name: one.reshape(1, 1, 1, 1) for name, one in arrays.items()})).sum()

    targets = jnp.asarray(_TARGETS)
    both = jax.vmap(jax.vmap(jax.value_and_grad(value_at), (0, None)), (0, 0))
    return both(errors[None, :] + targets[:, None], targets)


def _panels(errors: np.ndarray, values: np.ndarray, gradients: np.ndarray) -> tuple[Panel, ...]:
    def panel(name: str, curves: np.ndarray, zero_line: bool) -> Panel:
        caption = ((f"{name}: ", ""), ("target −1", OTHER), (", ", ""), ("0", WHOLE), (", ", ""), ("1", OWN))
        lines = tuple(Line(curve, role) for curve, role in zip(curves, _ROLES, strict=True))
        ticks = (-_LARGEST, 0.0, _LARGEST)
        return Panel(name, f"{name.capitalize()} of {{}} by error", caption, errors, ticks, lines, zero_line)

    return panel("value", values, zero_line=False), panel("gradient", gradients, zero_line=True)
