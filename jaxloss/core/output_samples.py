"""Outputs of a network, made up: what two losses pull them to tells whether the losses are one."""

import dataclasses
from collections.abc import Callable

from jaxloss.core.family import BranchInputs
from jaxloss.core.types import PyTree


@dataclasses.dataclass(frozen=True)
class OutputSamples:
    """`K` batches of `N` samples: outputs of a network, as widely different as those of a training, and what is known of them.

    A training moves a network by the gradients of its outputs alone. Whatever an output is put through on its way to a loss, such
    as a softmax, is in `inputs`: losses are one on this task where their gradients are one *before* it.

    Attributes:
      outputs: pytree of float arrays `[K, N, ...]`, what the network gives; the gradients are taken here.
      context: pytree of arrays `[K, ...]`, for example the labels `[K, N]`.
      inputs: `(outputs, context) -> {branch: LossInputs}` of one batch, the inputs that `Task.forward` makes of such outputs;
        traceable.
    """

    outputs: PyTree
    context: PyTree
    inputs: Callable[[PyTree, PyTree], BranchInputs]
