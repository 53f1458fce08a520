"""Whether a space and a task fit together: what the one needs, the other has to offer."""

from collections.abc import Collection, Mapping

from jaxloss.core.errors import UserError
from jaxloss.spaces.base import Space


def check_fit(space: Space, task: str, offers: Mapping[str, tuple[str, ...]], problems: Collection[str] | None) -> None:
    """Compares branches, inputs and problems.

    Args:
      space: what it needs.
      task: the task's name, for the message.
      offers: branch name -> names of the arrays that the task makes.
      problems: names of the problems that the task offers to filters; None where no filter will run.

    Raises:
      UserError: names the branch, input or problem that is missing, and both sides.
    """
    for branch in space.branches:
        if branch.name not in offers:
            raise UserError(f"the space {space.name} has a branch '{branch.name}', the task {task} has {sorted(offers)}")
        for name in branch.form.inputs:
            if name not in offers[branch.name]:
                raise UserError(
                    f"the space {space.name} needs the input '{name}', the task {task} offers {sorted(offers[branch.name])}"
                )
    for name in () if problems is None else space.problems:
        if name not in problems:
            raise UserError(
                f"the filters of the space {space.name} solve the problem '{name}', the task {task} offers {sorted(problems)}"
            )
