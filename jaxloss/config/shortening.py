"""Whether the best loss of a run can be made shorter at all: a search is not to end with the news that it cannot."""

import ml_collections

from jaxloss.core.errors import UserError
from jaxloss.spaces.base import Space
from jaxloss.tasks.base import Task

_KEY = "comparison.shortening_trainings"


def check_shortening(config: ml_collections.ConfigDict, space: Space, task: Task) -> None:
    """Of a search that asks for a shorter form.

    Raises:
      UserError: nothing tells losses of the task apart without training, or no form of the space can be made smaller.
    """
    number = config.comparison.shortening_trainings
    if config.mode != "search" or not number:
        return
    if task.output_samples is None:
        raise UserError(f"{_KEY} = {number} needs a task with output_samples, and the task {task.name} has none: set it to 0")
    if all(branch.form.smaller is None for branch in space.branches):
        raise UserError(f"{_KEY} = {number}: losses of the space {space.name} cannot be made smaller, set it to 0")
