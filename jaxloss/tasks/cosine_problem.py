"""A toy optimisation (Gu et al., CVPR 2022): does gradient descent on a few rows of cosines classify them right?"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, LossInputs
from jaxloss.tasks.metrics.classification import correct

# bounded: cosine = tanh(variable), which cannot leave [-1, 1]. cosine: the cosines themselves, unconstrained.
BOUNDED, COSINE = "bounded", "cosine"
VARIABLES = (BOUNDED, COSINE)
# Of the cosines before the first step.
_DEVIATION = 0.2


def toy_problem(key: Array, num_samples: int, num_classes: int, variable: str = BOUNDED) -> RejectionProblem:
    """Random cosines of rows to classes, one of which is right.

    Args:
      key: of cosines and right classes.
      num_samples: `B`, rows.
      num_classes: `C`.
      variable: in `VARIABLES`: what is optimised.

    Returns:
      A problem with the inputs `cosine` and `target` `[B, 1, 1, C]`; the metric is accuracy.
    """
    start_key, class_key = jax.random.split(key)
    start = _DEVIATION * jax.random.normal(start_key, (num_samples, 1, 1, num_classes))
    labels = jax.random.randint(class_key, (num_samples,), 0, num_classes)

    def inputs(value: Array, context: Mapping[str, Array]) -> LossInputs:
        return LossInputs.create({"cosine": jnp.tanh(value) if variable == BOUNDED else value, "target": context["target"]})

    def metric(value: Array, context: Mapping[str, Array]) -> Array:
        return correct(value[:, 0, 0], context["label"]).astype(jnp.float32)[0]

    target = jax.nn.one_hot(labels, num_classes)[:, None, None]
    return RejectionProblem(start=start, context={"target": target, "label": labels}, inputs=inputs, metric=metric)
