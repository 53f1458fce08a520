"""The vocabulary that every room of the house shares.

Dimension letters, used in every shape comment of the project:
`P` population, `N` batch, `H W` space, `C` classes or channels, `L` instructions, `B` rejection samples.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp

Array = jax.Array
PyTree = Any


# Arrays that a task may put beside the target where that is something else than the labels, such as their boundaries: the
# one-hot labels `[N, H, W, C]`, and 1 where they are valid, else 0, `[N, H, W, 1]`. Hand-crafted losses learn from them in
# place of the target and the mask.
LABEL, LABEL_MASK = "label", "label_mask"


class Granularity(enum.Enum):
    """Whether a tensor holds one value per element `[N, H, W, C]` or one per sample `[N, H, W, 1]`."""

    ELEMENT = "element"
    SAMPLE = "sample"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LossInputs:
    """What a loss sees: named arrays of equal rank, with a validity mask and weights.

    Tensors without spatial dimensions have `H = W = 1`.

    Attributes:
      arrays: name -> float array `[N, H, W, C]`, or `[N, H, W, 1]` for one value per sample.
      mask: bool `[N, H, W, 1]`; False marks void positions, which reach no mean and no pooling window.
      weights: float `[N, H, W, 1]`, non-negative; used only by `core.reduce`.
      normaliser: float `[]`, what the weighted sum is divided by in place of the weights, such as the number of positions that
        hold an object; None for a mean. Of a batch that is divided over devices, each has its share.
    """

    arrays: Mapping[str, Array]
    mask: Array
    weights: Array
    normaliser: Array | None = None

    @classmethod
    def create(
        cls,
        arrays: Mapping[str, Array],
        mask: Array | None = None,
        weights: Array | None = None,
        normaliser: Array | None = None,
    ) -> "LossInputs":
        """Fills in the defaults: every position valid, every weight one, and a mean.

        Raises:
          AssertionError: names an array that has no four axes.
        """
        for name, array in arrays.items():
            chex.assert_rank(
                array, 4, custom_message=f"the array '{name}' is to be [N, H, W, C], with H = W = 1 where space is none"
            )
        first = next(iter(arrays.values()))
        positions = (*first.shape[:-1], 1)
        return cls(
            arrays=dict(arrays),
            mask=jnp.ones(positions, bool) if mask is None else mask,
            weights=jnp.ones(positions, first.dtype) if weights is None else weights,
            normaliser=normaliser,
        )
