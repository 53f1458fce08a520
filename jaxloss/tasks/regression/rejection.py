"""The problem that the rejection protocol solves for a regression: predictions that are moved to their targets."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import num_examples
from jaxloss.tasks.data.stream import take_rows
from jaxloss.tasks.regression.inputs import BRANCH
from jaxloss.tasks.regression.splits import INPUT, TARGET

# So many times as many examples as are wanted are looked at.
_POOL = 20
# A target that is met already has no error that could go.
_SMALLEST = 1e-6


def make_problem(predict: Callable[[PyTree, Array], Array]) -> Callable[..., dict[str, RejectionProblem]]:
    """`(variables, examples, key, num_samples) -> {branch: problem}`.

    The variable is the prediction of an untrained network, one problem for each sample. The metric is the share of its first
    error that is gone: 0 at the start, 1 at the target, and 0 for whatever is further away than the start. Samples are drawn
    from many training examples, from the half of them whose predictions are further off: there is an error to take away.

    Args:
      predict: `(variables, inputs [n, ...]) -> predictions [n, K]`, standardised.
    """
    predictions = jax.jit(predict)

    def inputs(value: Array, context: Mapping[str, Array]) -> LossInputs:
        return LossInputs.create({"prediction": value, "target": context["target"]})

    def metric(value: Array, context: Mapping[str, Array]) -> Array:
        return jnp.clip(
            1 - jnp.abs(value - context["target"]).sum() / jnp.maximum(context["first_error"].sum(), _SMALLEST), 0.0, 1.0
        )

    def problem(variables: PyTree, examples: PyTree, key: Array, num_samples: int) -> dict[str, RejectionProblem]:
        total = num_examples(examples)
        if not 0 < 2 * num_samples <= total:
            raise UserError(
                f"filters.rejection.num_samples is {num_samples}, and {total} training examples are there, of which half are "
                f"drawn from: at most {total // 2}"
            )
        pool_key, row_key = jax.random.split(key)
        pool = jax.random.choice(pool_key, total, (min(total, _POOL * num_samples),), replace=False)
        drawn = take_rows(examples, pool)
        errors = jnp.abs(predictions(variables, drawn[INPUT]) - drawn[TARGET]).sum(axis=-1)
        rows = jax.random.choice(row_key, pool[jnp.argsort(-errors)[: len(pool) // 2]], (num_samples,), replace=False)
        chosen = take_rows(examples, rows)
        start, target = (array[:, None, None, :] for array in (predictions(variables, chosen[INPUT]), chosen[TARGET]))
        return {BRANCH: RejectionProblem(start, {"target": target, "first_error": jnp.abs(start - target)}, inputs, metric)}

    return problem
