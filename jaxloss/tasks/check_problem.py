"""What is wrong with the problem that the rejection protocol solves, in one line."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from jaxloss.core.abstract import is_float, named_errors, outputs, shapes, written
from jaxloss.core.errors import UserError
from jaxloss.core.problem import LOGITS, RejectionProblem
from jaxloss.core.types import PyTree
from jaxloss.tasks.base import TRAIN, ProblemMaker, Task
from jaxloss.tasks.check_inputs import check_loss_inputs, check_scalar, of_branches
from jaxloss.tasks.data.stream import StreamedRows, is_streamed


def check_problems(task: Task, variables: PyTree, num_samples: int, reads: Mapping[str, Sequence[str]]) -> None:
    """Evaluates all of `Task.problems` abstractly where they can be traced, else as a search will: rows that are read by their
    numbers cannot be.

    Args:
      task: whose problems.
      variables: of an untrained network, as shapes.
      num_samples: that are drawn.
      reads: branch -> arrays that losses read there.

    Raises:
      UserError: one line for the first mistake, with what was expected and what came.
    """
    for name, make in task.problems.items():
        _check_maker(f"the problem '{name}' of the task {task.name}", make, task, variables, num_samples, reads)


@contextlib.contextmanager
def problem_errors(what: str, task: Task) -> Iterator[None]:
    """Where a `ProblemMaker` is at work, which takes other examples where they are streamed.

    Raises:
      UserError: see `core.abstract.named_errors`.
    """
    hint = " (its examples are the StreamedRows: jaxloss.take_rows(examples, rows) reads some)" if is_streamed(task.data) else ""
    with named_errors(f"{what}{hint}"):
        yield


def _check_maker(
    what: str, make: ProblemMaker, task: Task, variables: PyTree, num_samples: int, reads: Mapping[str, Sequence[str]]
) -> None:
    key = jax.random.key(0)

    def look_at(variables: PyTree, examples: PyTree) -> None:
        with problem_errors(what, task):
            try:
                problems = make(variables, examples, key, num_samples)
            except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
                raise _NeedsNumbersError from error
        for branch, problem in of_branches(what, problems, list(reads)).items():
            if branch in reads:
                check_problem(f"{what}, branch '{branch}'", problem, reads[branch])

    train = task.data[TRAIN]
    if not isinstance(train, StreamedRows):
        try:
            jax.eval_shape(look_at, variables, shapes(train))
            return
        except _NeedsNumbersError:
            pass
    look_at(jax.jit(task.init)(key), train)


class _NeedsNumbersError(UserError):
    """A function looks at the numbers that it computes."""


def check_problem(what: str, problem: Any, names: Sequence[str]) -> None:
    """Checks the problem of one branch, whose arrays may be traced.

    Args:
      what: gives it, for the message.
      problem: to be checked.
      names: of the arrays that losses read.

    Raises:
      UserError: one line for the first mistake.
    """
    if not isinstance(problem, RejectionProblem):
        raise UserError(f"{what}: a RejectionProblem was expected, {written(problem)} came")
    start = problem.start
    if not is_float(start) or len(start.shape) != 4:
        raise UserError(f"{what}: float32[B, H, W, C] was expected as the start, {written(start)} came")
    if 0 in start.shape:
        raise UserError(f"{what}: the start must have samples, and is {written(start)}")
    for path, leaf in jax.tree_util.tree_leaves_with_path(problem.context):
        if not getattr(leaf, "shape", ()) or leaf.shape[0] != start.shape[0]:
            place = f"the context{jax.tree_util.keystr(path)}"
            raise UserError(f"{what}: {place} must have the {start.shape[0]} samples of the start, and is {written(leaf)}")

    def rows(number: int) -> tuple[PyTree, PyTree]:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((number, *leaf.shape[1:]), leaf.dtype), (start, problem.context))

    # One sample in the rejection protocol, all of them in the equivalence check.
    for number in dict.fromkeys((1, start.shape[0])):
        inputs = outputs(f"inputs of {what}", problem.inputs, *rows(number))
        _check_logits(what, inputs, names)
        check_loss_inputs(f"inputs of {what}", inputs, names)
    check_scalar(f"the metric of {what}", outputs(f"the metric of {what}", problem.metric, *rows(1)))


def _check_logits(what: str, inputs: Any, names: Sequence[str]) -> None:
    """Probabilities that are optimised by themselves have no logits, which is no mistake of the task."""
    arrays = getattr(inputs, "arrays", {})
    if LOGITS in names and "prediction" in arrays and LOGITS not in arrays:
        raise UserError(
            f"inputs of {what} lacks the array 'logits'; it makes {sorted(map(str, arrays))}. Losses that read logits need "
            "filters.rejection.variable=logits, where the task has a use for it"
        )
