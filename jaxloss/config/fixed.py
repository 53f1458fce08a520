"""A task in which some branches have a loss already: a space that searches others is trained beside it."""

import dataclasses
from collections.abc import Mapping

from jaxloss.core.errors import UserError
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, PyTree
from jaxloss.spaces.fixed import FixedLoss
from jaxloss.tasks.base import ProblemMaker, Task


def with_fixed_losses(task: Task, fixed: Mapping[str, FixedLoss]) -> Task:
    """The task without the branches that have a loss: that loss is one of `Task.auxiliary_losses`.

    Args:
      task: offers all branches.
      fixed: branch -> its loss, see `Space.fixed_losses`; empty for none.

    Raises:
      UserError: names a branch, or an array, that the task does not offer.
    """
    if not fixed:
        return task
    for branch, loss in fixed.items():
        if branch not in task.offers:
            offered = sorted(task.offers)
            raise UserError(f"the loss '{loss.name}' is for the branch '{branch}', the task {task.name} has {offered}")
        for name in loss.reads:
            if name not in task.offers[branch]:
                raise UserError(
                    f"the loss '{loss.name}' of the branch {branch} needs the input '{name}', the task {task.name} offers "
                    f"{sorted(task.offers[branch])}"
                )
        if loss.of_softmax:
            refuse_independent(loss.name, branch, task)
    if not task.offers.keys() - fixed.keys():
        raise UserError(
            f"the task {task.name} has no branch but {', '.join(repr(name) for name in fixed)}, whose loss is fixed: there is "
            "nothing to search"
        )
    return dataclasses.replace(
        task,
        offers=_without(task.offers, fixed),
        ranges=_without(task.ranges, fixed),
        auxiliary_losses={**task.auxiliary_losses, **{branch: loss.function for branch, loss in fixed.items()}},
        problems={name: _searched_alone(make, fixed) for name, make in task.problems.items()},
        with_division=lambda number: with_fixed_losses(task.with_division(number), fixed),
        details={**task.details, **{f"loss of the branch {branch}": loss.name for branch, loss in fixed.items()}},
    )


def refuse_independent(name: str, branch: str, task: Task) -> None:
    """Refuses a loss of a softmax in a branch whose classes are a question each.

    Raises:
      UserError: names the loss and the branch.
    """
    if branch in task.independent_classes:
        raise UserError(
            f"the loss '{name}' is one of a softmax, and the classes of the branch {branch} of the task {task.name} are a "
            "question each: what is none of them would never be learned. Name another loss, or have the task predict a "
            "distribution"
        )


def _without(values: Mapping, names: Mapping) -> dict:
    return {name: value for name, value in values.items() if name not in names}


def _searched_alone(make: ProblemMaker, fixed: Mapping[str, FixedLoss]) -> ProblemMaker:
    def searched(variables: PyTree, examples: PyTree, key: Array, num_samples: int) -> dict[str, RejectionProblem]:
        return _without(make(variables, examples, key, num_samples), fixed)

    return searched
