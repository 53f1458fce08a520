"""What a worker in another process trains: task and losses, made from the values of a config."""

from collections.abc import Mapping
from typing import Any

import ml_collections

from jaxloss.config import wiring
from jaxloss.config.fixed import with_fixed_losses
from jaxloss.core.family import LossFamily
from jaxloss.execution.worker import Parts
from jaxloss.spaces.base import Space
from jaxloss.spaces.families import branch_families
from jaxloss.tasks.base import Task
from jaxloss.tasks.check import on_division


def make_parts(values: Mapping[str, Any]) -> Parts:
    """The parts of a worker; a family is the space of the config, or hand-crafted losses by their names.

    Args:
      values: of the config of a run, nested, as its plan has them.

    Raises:
      UserError: absent data, or a module that cannot be imported here.
    """
    config = ml_collections.ConfigDict(values)
    space = wiring.make_space(config)
    weights = {branch.name: branch.weight for branch in space.branches}

    def family(name: str) -> LossFamily:
        return space if name == space.name else branch_families(name, weights)

    return Parts(make_trained_task(config, space), family)


def make_trained_task(config: ml_collections.ConfigDict, space: Space, given: Task | None = None) -> Task:
    """The task of a run as it is trained: on the first division of its data, beside the losses of fixed branches.

    Args:
      config: of the run.
      space: that is searched.
      given: task in place of the one that the config names.

    Raises:
      UserError: see `wiring.make_task`, `with_fixed_losses` and `on_division`.
    """
    task = with_fixed_losses(given or wiring.make_task(config), space.fixed_losses)
    return on_division(task, config.comparison.divisions[0])
