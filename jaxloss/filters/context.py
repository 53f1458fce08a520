"""What the filters of one branch are made from."""

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import jax

from jaxloss.core.form import Expression
from jaxloss.core.problem import RejectionProblem
from jaxloss.filters.settings import FilterSettings
from jaxloss.spaces.base import Branch


@dataclasses.dataclass(frozen=True)
class FilterContext:
    """What the filters of one branch are made from.

    Attributes:
      branch: whose expressions are filtered.
      problem: `(name) -> problem` of this branch, see `Task.problems`: gradients are taken and protocols run on them.
      settings: of the standard filters; a width of 0 is as many as suit the device.
      example: some expression of the branch; None where its form has a blank one.
      sections: name of a config section -> its settings, for those that the space reads (`Space.sections`).
      workers: threads that the filters may use, or None.
      num_workers: how many.
      shortcuts: candidates leave the rejection protocol once their verdict is decided.
      devices: that a call is spread over; 0 for all accelerators, or the one CPU.
    """

    branch: Branch
    problem: Callable[[str], RejectionProblem]
    settings: FilterSettings = dataclasses.field(default_factory=FilterSettings)
    example: Expression | None = None
    sections: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    workers: Executor | None = None
    num_workers: int = 1
    shortcuts: bool = True
    devices: int = 0

    @property
    def num_devices(self) -> int:
        """Devices that a call is spread over."""
        return self.devices or (1 if jax.default_backend() == "cpu" else jax.local_device_count())
