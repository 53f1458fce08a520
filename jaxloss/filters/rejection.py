"""The loss-rejection protocol (AutoLoss-Zero, Section 3.2 and Eq. 3): does minimising the loss raise the metric?

The loss is minimised over the predictions themselves, one sample at a time, by SGD with momentum; no network is involved.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxloss.core.errors import UserError
from jaxloss.core.interpret import interpret
from jaxloss.core.problem import RejectionProblem, batch_of_one
from jaxloss.core.program import Layout, Program
from jaxloss.core.reduce import total_loss
from jaxloss.core.types import Array, Reason

# Metrics are means of a few samples in float32: a gain of exactly eta must not fail by rounding.
ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class RejectionSettings:
    """The numbers of Appendix A.

    Attributes:
      iterations: of gradient descent.
      learning_rate: of SGD.
      momentum: of SGD.
      minimum_gain: `eta`; the metric has to rise by so much on average.
    """

    iterations: int = 500
    learning_rate: float = 0.001
    momentum: float = 0.9
    minimum_gain: float = 0.6


def check_headroom(problem: RejectionProblem, settings: RejectionSettings) -> None:
    """Refuses a problem on which no loss could pass.

    Raises:
      UserError: when the untrained predictions are already so good that a gain of `minimum_gain` is out of reach.
    """
    start = float(jnp.mean(problem.metrics(problem.start)))
    if 1 - start < settings.minimum_gain - ROUNDING:
        raise UserError(
            f"the rejection samples leave no room for a gain of {settings.minimum_gain}: the untrained network already has "
            f"{start:.2f}. Lower filters.rejection.minimum_gain, raise filters.rejection.num_samples or change seed"
        )


def rejection_function(
    problem: RejectionProblem, layout: Layout, settings: RejectionSettings
) -> Callable[[Program, Array], dict[str, Array]]:
    """Makes `(program, active) -> {'reason', 'gain'}` for one candidate; pure, to be batched over candidates."""
    optimiser = optax.sgd(settings.learning_rate, momentum=settings.momentum)
    start_metric = problem.metrics(problem.start)

    def loss(variable: Array, context, program: Program) -> Array:
        inputs = problem.inputs(variable[None], batch_of_one(context))
        return total_loss(interpret(program, layout, inputs), inputs)

    gradients = jax.vmap(jax.grad(loss), in_axes=(0, 0, None))

    def protocol(program: Program, active: Array) -> dict[str, Array]:
        def unfinished(carry) -> Array:
            step, variable, _ = carry
            # A prediction that is no longer finite stays so: once all are, there is nothing left to optimise.
            alive = jnp.any(jnp.all(jnp.isfinite(variable), axis=tuple(range(1, variable.ndim))))
            return active & alive & (step < settings.iterations)

        def descend(carry):
            step, variable, state = carry
            updates, state = optimiser.update(gradients(variable, problem.context, program), state)
            return step + 1, optax.apply_updates(variable, updates), state

        start = (jnp.zeros((), jnp.int32), problem.start, optimiser.init(problem.start))
        _, variable, _ = jax.lax.while_loop(unfinished, descend, start)
        finite = jnp.all(jnp.isfinite(variable), axis=tuple(range(1, variable.ndim)))
        end_metric = jnp.where(finite, problem.metrics(variable), 0)
        gain = jnp.mean(end_metric - start_metric)
        failed = jnp.where(jnp.all(finite), Reason.NO_METRIC_GAIN, Reason.NON_FINITE_OPTIMISATION)
        passed = gain >= settings.minimum_gain - ROUNDING
        return {"reason": jnp.where(passed, Reason.ACCEPTED, failed).astype(jnp.int32), "gain": gain}

    return protocol
