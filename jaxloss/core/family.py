"""What a training needs to know of a loss."""

from collections.abc import Mapping
from typing import Protocol

from jaxloss.core.types import Array, LossInputs, PyTree

BranchInputs = Mapping[str, LossInputs]


class LossFamily(Protocol):
    """Losses that differ only in a pytree of arrays: a search space, or a hand-crafted loss with its hyper-parameters.

    `loss` is pure and takes the encoded candidate as an argument, so that one compilation serves all of them.
    """

    name: str

    def customary(self, formula: str | None) -> Mapping[str, float]:
        """The hyper-parameters of a loss as it is: those in its formula, or those that people use where it has none."""

    def tuned(self, formula: str | None, values: Mapping[str, float]) -> PyTree:
        """The encoded candidate with other hyper-parameters."""

    def loss(self, encoded: PyTree, inputs: BranchInputs, axis_name: str | None = None) -> Array:
        """The scalar loss of the whole candidate: its branches weighted and added up."""
