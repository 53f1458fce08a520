"""What a run is made of: the parts that a config names, built and checked, and how to make the others when they are needed."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import ml_collections

from jaxloss.execution.base import Execution
from jaxloss.execution.choice import Parallelism
from jaxloss.filters.cascade import Cascade
from jaxloss.search.base import Search
from jaxloss.search.budget import SearchBudget
from jaxloss.search.chooser import Chooser
from jaxloss.search.lockstep_settings import LockstepSettings
from jaxloss.spaces.base import Space
from jaxloss.study.comparison import ComparisonSettings
from jaxloss.study.contender import Contender
from jaxloss.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that a run is made of.

    Attributes:
      config: all keys.
      task: on the division of the data that is searched on.
      space: of the losses.
      contenders: the losses that the config names: rivals of a search, those to compare, or the one to train with.
      budget: what a search may spend.
      comparison: how finished losses are compared.
      choose_parallelism: `() -> (parallelism, what was measured)`, how a new run trains.
      make_execution: `(parallelism) -> Execution`.
      make_cascades: `(threads, their number) -> {branch: filters}`.
      make_search: `(name, number of the restart) -> Search`.
      make_chooser: `(cascades, checkpoints, output gradients or None) -> Chooser`, or None where nothing is chosen.
      calibration: the loss with which the rate of a search is found; None where the rate is given.
      seeds: formulas that a search begins with.
      lockstep: how losses are learned while networks train.
      make_longer_execution: `(parallelism, factor) -> Execution` whose trainings are so many times longer.
      remarks: lines about what the config asks for and cannot have.
    """

    config: ml_collections.ConfigDict
    task: Task
    space: Space
    contenders: tuple[Contender, ...]
    budget: SearchBudget
    comparison: ComparisonSettings
    choose_parallelism: Callable[[], tuple[Parallelism, Mapping[str, Any]]]
    make_execution: Callable[[Parallelism], Execution]
    make_cascades: Callable[..., Mapping[str, Cascade]]
    make_search: Callable[[str, int], Search]
    make_chooser: Callable[..., Chooser | None]
    calibration: Contender | None = None
    seeds: tuple[str, ...] = ()
    lockstep: LockstepSettings | None = None
    make_longer_execution: Callable[[Parallelism, float], Execution] | None = None
    remarks: tuple[str, ...] = ()
