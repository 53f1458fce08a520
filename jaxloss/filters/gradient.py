"""The gradient of a candidate on the rejection samples: is it finite and non-zero, and what does it look like?

Two descriptions are made of it. The *norms* per sample are the paper's equivalence check (AutoLoss-Zero, Section 3.2); they
are blind to sign. The *sketch*, signed random projections, tells L from -L and serves to remember rejected candidates.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.interpret import interpret
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.program import Layout, Program
from jaxloss.core.reduce import total_loss
from jaxloss.core.types import Array, Reason

NUM_PROJECTIONS = 6
SKETCH_DIGITS = 4


def gradient_function(problem: RejectionProblem, layout: Layout) -> Callable[[Program, Array], dict[str, Array]]:
    """Makes `(program, active) -> {'reason', 'norms' [B], 'projections' [NUM_PROJECTIONS]}`, for one candidate.

    The gradient is taken on the joint batch: one sample at a time, Mean over n would be the identity.
    """
    directions = np.random.default_rng(0).standard_normal((NUM_PROJECTIONS, *problem.start.shape))
    directions = jnp.asarray(directions, problem.start.dtype)

    def describe(program: Program, active: Array) -> dict[str, Array]:
        del active

        def loss(variable: Array) -> Array:
            inputs = problem.inputs(variable, problem.context)
            return total_loss(interpret(program, layout, inputs), inputs)

        gradient = jax.grad(loss)(problem.start)
        norms = jnp.sqrt(jnp.sum(gradient**2, axis=tuple(range(1, gradient.ndim))))
        finite = jnp.all(jnp.isfinite(gradient)) & jnp.all(jnp.isfinite(norms))
        reason = jnp.where(jnp.any(norms > 0), Reason.ACCEPTED, Reason.ZERO_GRADIENT)
        return {
            "reason": jnp.where(finite, reason, Reason.NON_FINITE_GRADIENT).astype(jnp.int32),
            "norms": norms,
            "projections": jnp.tensordot(directions, gradient, gradient.ndim),
        }

    return describe


@dataclasses.dataclass(frozen=True)
class GradientDescription:
    """Text forms of a gradient, for hashing and for the archive.

    Attributes:
      signature: the norms, to the configured significant digits.
      sketch: the signed projections, with their scale: what the rejection protocol does depends on it.
    """

    signature: str
    sketch: str


def describe_gradient(
    norms: np.ndarray, projections: np.ndarray, digits: int, scale_free: bool, signed: bool = False
) -> GradientDescription:
    """Rounds norms and projections.

    Args:
      norms: `[B]`.
      projections: `[NUM_PROJECTIONS]`.
      digits: significant digits of the norms; the paper has two.
      scale_free: divides by the whole gradient norm first. Only where training normalises gradients: otherwise 2L trains
        differently from L at the same learning rate.
      signed: adds the signs of the projections, so that -L is not taken for L. The paper compares norms alone.
    """
    whole = float(np.sqrt(np.sum(np.square(norms, dtype=np.float64)))) or 1.0
    scaled = norms / whole if scale_free else norms
    signature = " ".join(f"{norm:.{digits - 1}e}" for norm in scaled)
    if signed:
        signature += " " + "".join("+" if value > 0 else "-" for value in projections)
    sketch = " ".join(f"{value:.{SKETCH_DIGITS - 1}e}" for value in projections)
    return GradientDescription(signature, sketch)
