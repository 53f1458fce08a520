"""What the filters of one branch are made from."""

import dataclasses
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

import jax

from jaxloss.core.form import Expression
from jaxloss.core.problem import RejectionProblem
from jaxloss.filters.rejection import RejectionSettings
from jaxloss.spaces.base import Branch


@dataclasses.dataclass(frozen=True)
class FilterSettings:
    """Attributes:
    rejection: settings of the protocol, or None to go without.
    significant_digits: of the gradient norms in the equivalence check.
    scale_free: the equivalence check ignores the scale of the gradient.
    signed: the equivalence check compares the signs of projections too.
    width: candidates per jitted call and device, 0 for as many as suit the device.
    batching: `auto`, `blocks` or `vmap`, see `filters.population`.
    shortcuts: candidates leave the rejection protocol once their verdict is decided.
    num_devices: that a call is spread over; 0 for all accelerators, or the one CPU.
    """

    rejection: RejectionSettings | None = dataclasses.field(default_factory=RejectionSettings)
    significant_digits: int = 2
    scale_free: bool = False
    signed: bool = False
    width: int = 0
    batching: str = "auto"
    shortcuts: bool = True
    num_devices: int = 0


@dataclasses.dataclass(frozen=True)
class FilterContext:
    """Attributes:
    branch: whose expressions are filtered.
    problem: on which gradients are taken and the rejection protocol runs.
    settings: of the standard filters.
    example: some expression of the branch; None where its form has a blank one.
    sections: name of a config section -> its settings, for those that the space reads (`Space.sections`).
    workers: threads that the filters may use, or None.
    num_workers: how many.
    """

    branch: Branch
    problem: RejectionProblem
    settings: FilterSettings = dataclasses.field(default_factory=FilterSettings)
    example: Expression | None = None
    sections: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    workers: Executor | None = None
    num_workers: int = 1

    @property
    def num_devices(self) -> int:
        """Devices that a call is spread over."""
        return self.settings.num_devices or (1 if jax.default_backend() == "cpu" else jax.local_device_count())
