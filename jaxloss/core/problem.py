"""The small problem on which a candidate has to prove itself without a network (Li et al., CVPR 2022, Eq. 3)."""

import dataclasses
from collections.abc import Callable

import jax

from jaxloss.core.types import Array, LossInputs, PyTree

# Names under which tasks offer their problems: predictions of the network; cosines of an embedding to classes.
PREDICTIONS, COSINES = "predictions", "cosines"
# What may be optimised: the prediction itself, unconstrained, or the logits that softmax is taken of.
PROBABILITY, LOGITS = VARIABLES = ("probability", "logits")
# By how much the metric has to rise on average: `eta`.
MINIMUM_GAIN = 0.6


@dataclasses.dataclass(frozen=True)
class RejectionProblem:
    """`B` samples whose predictions are optimised directly.

    Attributes:
      start: `[B, H, W, C]` the variable that gradient descent moves, one problem per sample.
      context: pytree of arrays with leading axis `B`, for example the targets.
      inputs: `(variable, context) -> LossInputs`; for one sample (`[1, H, W, C]`) and, for the joint batch of the
        equivalence check, for all of them at once (`[B, H, W, C]`).
      metric: `(variable, context) -> scalar` in [0, 1] for one sample (`[1, H, W, C]`), higher is better; jittable.
    """

    start: Array
    context: PyTree
    inputs: Callable[[Array, PyTree], LossInputs]
    metric: Callable[[Array, PyTree], Array]

    def metrics(self, variable: Array) -> Array:
        """The metric of each sample, `[B]`."""
        return metric_of_samples(self.metric, variable, self.context)


def metric_of_samples(metric: Callable[[Array, PyTree], Array], variable: Array, context: PyTree) -> Array:
    """The metric of a problem for each of its samples, `[B]`."""
    return jax.vmap(lambda value, own: metric(value[None], batch_of_one(own)))(variable, context)


def batch_of_one(context: PyTree) -> PyTree:
    """The context of one sample with a leading axis, as `inputs` and `metric` expect it."""
    return jax.tree.map(lambda leaf: leaf[None], context)
