"""The vocabulary that every room of the house shares.

Dimension letters, used in every shape comment of the project:
`P` population, `N` batch, `H W` space, `C` classes or channels, `L` instructions, `B` rejection samples.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
PyTree = Any


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
    """

    arrays: Mapping[str, Array]
    mask: Array
    weights: Array

    @classmethod
    def create(cls, arrays: Mapping[str, Array], mask: Array | None = None, weights: Array | None = None) -> "LossInputs":
        """Fills in the defaults: every position valid, every weight one."""
        first = next(iter(arrays.values()))
        positions = (*first.shape[:-1], 1)
        return cls(
            arrays=dict(arrays),
            mask=jnp.ones(positions, bool) if mask is None else mask,
            weights=jnp.ones(positions, first.dtype) if weights is None else weights,
        )


class Reason(enum.IntEnum):
    """Why a candidate was stopped. Codes inside jit, words at the edge."""

    ACCEPTED = 0
    NO_PREDICTION = 1
    NO_TARGET = 2
    NON_FINITE_GRADIENT = 3
    ZERO_GRADIENT = 4
    EQUIVALENT_TO_TRAINED = 5
    EQUIVALENT_TO_REJECTED = 6
    NON_FINITE_OPTIMISATION = 7
    NO_METRIC_GAIN = 8
    OWN_NOT_RISING = 9
    OTHER_NOT_RISING = 10
    OWN_ABOVE_OTHER = 11
    NOT_PROMISING = 12

    @property
    def label(self) -> str:
        """The code as lower-case words, as used in archives, summaries and reports."""
        return self.name.lower()

    @property
    def is_structural(self) -> bool:
        """Whether a look at the formula or at its curves was enough: such candidates are counted, and leave no row."""
        return self in _STRUCTURAL


_STRUCTURAL = frozenset(
    (Reason.NO_PREDICTION, Reason.NO_TARGET, Reason.OWN_NOT_RISING, Reason.OTHER_NOT_RISING, Reason.OWN_ABOVE_OTHER)
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a filter says of one candidate (or of one branch of it).

    Attributes:
      reason: `Reason.ACCEPTED`, or why the candidate was stopped.
      value: the number that decided, for example the metric gain of the rejection protocol.
    """

    reason: Reason
    value: float = float("nan")

    @property
    def accepted(self) -> bool:
        return self.reason is Reason.ACCEPTED
