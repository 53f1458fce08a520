"""Refuses soft labels where a loss is one of one-hot labels, as far as that can be seen."""

from collections.abc import Collection

import jax
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.family import BranchInputs

_TARGET, _SHOWN = "target", 5


def expect_one_hot(name: str, inputs: BranchInputs, branches: Collection[str]) -> None:
    """Looks at the targets of some branches; under `jit`, `vmap` and the like, where there are no values, it says nothing.

    Args:
      name: of the loss, for the message.
      inputs: of all branches; void positions, and those without weight, may hold anything.
      branches: whose loss is one of one-hot labels.

    Raises:
      UserError: names the first row that is not one-hot.
    """
    for branch in branches:
        one = inputs[branch]
        if any(isinstance(array, jax.core.Tracer) for array in (one.arrays[_TARGET], one.mask, one.weights)):
            continue
        target = np.asarray(one.arrays[_TARGET])
        counts = (np.asarray(one.mask) & (np.asarray(one.weights) > 0))[..., 0]
        is_one_hot = np.all((target == 0) | (target == 1), axis=-1) & (target.sum(axis=-1) == 1)
        if wrong := np.argwhere(counts & ~is_one_hot).tolist():
            row = target[tuple(wrong[0])]
            numbers = ", ".join(f"{float(value):g}" for value in row[:_SHOWN]) + (", ..." if len(row) > _SHOWN else "")
            raise UserError(
                f"{name} is a loss of one-hot labels, and '{_TARGET}' of sample {wrong[0][0]} is [{numbers}]: give the labels "
                "one-hot, or take a loss that is defined for others, such as cross_entropy"
            )
