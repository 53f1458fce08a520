"""A hand-crafted loss for each of several branches: their sum, weighted as the candidates of a space are."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxloss.core.family import BranchInputs
from jaxloss.core.types import Array, PyTree
from jaxloss.spaces.handcrafted import HandcraftedFamily
from jaxloss.spaces.hyperparameters import TuningRange


@dataclasses.dataclass(frozen=True)
class BranchedFamily:
    """One family for each branch. An encoded candidate is `{branch: {hyper-parameter: scalar}}`.

    A hyper-parameter `q` of the branch `a` is called `a.q`, in tables and archives too.

    Attributes:
      name: as used in configs and tables: `a: cross_entropy | b: gce`, or the one name of all branches.
      families: branch -> family.
      weights: branch -> its factor in the sum.
    """

    name: str
    families: Mapping[str, HandcraftedFamily]
    weights: Mapping[str, float]

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def tuning_ranges(self) -> dict[str, TuningRange]:
        """Where the hyper-parameters are tuned."""
        return _prefixed({branch: one.tuning_ranges for branch, one in self.families.items()})

    @property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """Branch -> names of the arrays that are read there."""
        return {branch: one.inputs for branch, one in self.families.items()}

    @property
    def softmax_branches(self) -> tuple[str, ...]:
        """Branches whose predictions it takes for a distribution."""
        return tuple(branch for branch, one in self.families.items() if one.of_softmax)

    def customary(self, formula: str | None = None) -> dict[str, float]:
        """See `core.family.LossFamily`; a hand-crafted loss has no formula."""
        return _prefixed({branch: one.customary(formula) for branch, one in self.families.items()})

    def tuned(self, formula: str | None, values: Mapping[str, float]) -> dict[str, PyTree]:
        """See `core.family.LossFamily`."""
        return {
            branch: one.tuned(formula, {name: values[f"{branch}.{name}"] for name in one.tuning_ranges})
            for branch, one in self.families.items()
        }

    def loss(self, encoded: Mapping[str, PyTree], inputs: BranchInputs, axis_name: str | None = None) -> Array:
        """The scalar loss: the weighted sum over the branches of the mean of each, as in a space."""
        terms = [self.weights[branch] * one.loss(encoded[branch], inputs, axis_name) for branch, one in self.families.items()]
        return sum(terms[1:], terms[0])


def _prefixed(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """branch -> name -> value, as `branch.name` -> value."""
    return {f"{branch}.{name}": value for branch, own in values.items() for name, value in own.items()}
