"""What is wrong with a task, in one line, before anything is trained: by the shapes that its functions give."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxloss.core.abstract import differences, is_array, is_float, is_number, named_errors, outputs, shapes, written
from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.core.types import LossInputs, PyTree
from jaxloss.tasks.base import SEARCH_EVAL, SPLITS, TEST, TRAIN, Task, num_examples
from jaxloss.tasks.check_fields import check_task_fields
from jaxloss.tasks.check_inputs import check_loss_inputs, check_scalar, of_branches
from jaxloss.tasks.check_output_samples import check_output_samples
from jaxloss.tasks.check_pictures import check_pictures
from jaxloss.tasks.check_problem import check_problems
from jaxloss.tasks.data.stream import StreamedRows, example_shapes, resident_arrays


def check_task(
    task: Task, batch_size: int = 64, reads: Mapping[str, Sequence[str]] | None = None, num_samples: int = 0
) -> dict[str, LossInputs]:
    """Evaluates every function of a task abstractly, and looks at its data.

    Args:
      task: to be checked.
      batch_size: of its training.
      reads: branch -> arrays that losses read there, for the rejection problem; by default all that the task offers.
      num_samples: of the rejection problem; 0 where none will be solved.

    Returns:
      The inputs of a loss in a training, as shapes, by branch.

    Raises:
      UserError: one line for the first mistake, with what was expected and what came.
    """
    check_task_fields(task)
    check_data(task)
    check_ranges(task)
    variables = _check_init(task)
    _check_backbone(task, variables)
    batch = _check_batch(task, batch_size)
    branches = _check_forward(task, variables, batch)
    _check_auxiliary_losses(task, branches)
    _check_scores(task, variables)
    check_output_samples(task)
    check_pictures(task, variables)
    if num_samples:
        check_problems(task, variables, num_samples, reads or task.offers)
    return {name: inputs for name, inputs in branches.items() if name in task.offers}


def on_division(task: Task, number: int) -> Task:
    """The task on another division of its data.

    Divisions are made as trainings ask for them, the first one alone before a run directory is: to copy the images of a large
    data set takes a second for each.

    Raises:
      UserError: where `with_division` gives no task, or one of another kind; see `check_task_fields`, too.
    """
    check_task_fields(task)
    what = f"with_division({number}) of the task {task.name}"
    with named_errors(what):
        other = task.with_division(number)
    if not isinstance(other, Task):
        raise UserError(f"{what} must give a Task, not {written(other)}")
    check_task_fields(other)
    for name in ("metric", "offers"):
        if getattr(other, name) != getattr(task, name):
            raise UserError(f"{what} must give a task with the same {name}, {getattr(task, name)}, not {getattr(other, name)}")
    sides = ({name: part.shapes if isinstance(part, StreamedRows) else part for name, part in one.data.items()}
             for one in (task, other))  # fmt: skip
    for path, expected, came in differences(*sides, _row):
        raise UserError(f"{what} must give the same arrays: {expected} as data{path} was expected, {came} came")
    # Its functions are those of the task, also where one was replaced in a task that somebody else had made.
    return dataclasses.replace(task, data=other.data, details=other.details)


def check_data(task: Task) -> None:
    """Looks for what would break a training later on.

    Raises:
      UserError: a split is absent or empty, holds something else than arrays, its arrays disagree about the number of examples,
        or `search_eval` and `test`, which are scored alike, hold different ones.
    """
    for split in SPLITS:
        leaves = jax.tree_util.tree_leaves_with_path(task.data.get(split))
        for path, leaf in leaves:
            if not is_array(leaf):
                place = f"data['{split}']{jax.tree_util.keystr(path)}"
                raise UserError(f"{place} of the task {task.name} must be an array of numbers, not {written(leaf)}")
        lengths = {leaf.shape[0] if leaf.shape else 0 for _, leaf in leaves}
        if not lengths or 0 in lengths:
            near = "" if split in task.data else did_you_mean(split, task.data)
            raise UserError(f"the task {task.name} has no examples in its split '{split}'{near and f'.{near}'}")
        if len(lengths) > 1:
            raise UserError(
                f"the arrays of the split '{split}' of the task {task.name} have different lengths: {sorted(lengths)}"
            )
    for path, expected, came in differences(task.data[SEARCH_EVAL], task.data[TEST], _row):
        raise UserError(
            f"the splits '{SEARCH_EVAL}' and '{TEST}' of the task {task.name} must hold the same arrays, but {path} is "
            f"{expected} in '{SEARCH_EVAL}' and {came} in '{TEST}'"
        )


def check_ranges(task: Task) -> None:
    """Looks for mistakes in `task.ranges`.

    Raises:
      UserError: for a branch or an input that the task does not offer, and where low is not below high.
    """
    for branch, ranges in task.ranges.items():
        for name, span in ranges.items():
            if name not in task.offers.get(branch, ()):
                raise UserError(f"the task {task.name} gives a range for '{name}' of '{branch}', which it does not offer")
            if np.shape(span) != (2,) or not span[0] < span[1]:
                raise UserError(f"the range of '{name}' of the task {task.name} must be (low, high) with low < high, not {span}")


def check_untrained(task: Task, scores: Mapping[str, float]) -> None:
    """Looks at the scores of an untrained network on `search_eval`.

    Raises:
      UserError: the metric is NaN, or outside `[0, 1]`.
    """
    check_range(task, scores, f"the untrained network on {SEARCH_EVAL}")


def check_range(task: Task, scores: Mapping[str, float], whose: str) -> None:
    """Looks whether the metric is one.

    Raises:
      UserError: it is NaN, or outside `[0, 1]`.
    """
    value = scores[task.metric]
    if not -1e-6 <= value <= 1 + 1e-6:
        raise UserError(
            f"the metric '{task.metric}' of the task {task.name} must be a number from 0 to 1, and is {value:g} for {whose}: "
            "a training that is stopped counts as 0, the worst there is"
        )


def _check_init(task: Task) -> PyTree:
    what = f"init of the task {task.name}"
    variables = outputs(what, task.init, jax.random.key(0))
    if not isinstance(variables, Mapping) or not jax.tree.leaves(variables.get("params")):
        raise UserError(f"{what} must give {{'params': ..., ...}}, a dict of arrays, and gives {written(variables)}")
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"]):
        if not is_float(leaf) or leaf.dtype.itemsize < 4:
            place = f"params{jax.tree_util.keystr(path)}"
            raise UserError(f"{what} must give parameters of float32, but {place} is {written(leaf)}: cast them in forward")
    return variables


def _check_backbone(task: Task, variables: PyTree) -> None:
    if task.backbone is None:
        return
    what = f"backbone of the task {task.name}"
    with named_errors(what):
        chosen = task.backbone(variables["params"])
    same = jax.tree.structure(chosen) == jax.tree.structure(variables["params"])
    if not same or not all(isinstance(leaf, bool | np.bool_) for leaf in jax.tree.leaves(chosen)):
        raise UserError(f"{what} must give True or False for each of the parameters, and gives {written(chosen)}")


def _check_batch(task: Task, batch_size: int) -> PyTree:
    """One batch as shapes, through `order` and `augment`."""
    train, key = example_shapes(task.data[TRAIN]), jax.random.key(0)
    num_rows = num_examples(train)
    if task.order is not None:
        what = f"order of the task {task.name}"
        order = outputs(what, task.order, key, shapes(resident_arrays(task.data[TRAIN])))
        if not is_number(order) or is_float(order) or len(order.shape) != 1 or not order.shape[0]:
            raise UserError(f"{what} must give the rows of an epoch, int32[M], and gives {written(order)}")
        num_rows = order.shape[0]
    rows = min(batch_size, num_rows)
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((rows, *leaf.shape[1:]), leaf.dtype), train)
    if task.augment is None:
        return batch
    what = f"augment of the task {task.name}"
    augmented = outputs(what, task.augment, batch, key)
    for path, expected, came in differences(batch, augmented, _kind):
        raise UserError(f"{what} must give a batch like the one it takes: {expected} as batch{path} was expected, {came} came")
    return augmented


def _check_forward(task: Task, variables: PyTree, batch: PyTree) -> dict[str, LossInputs]:
    what = f"forward of the task {task.name}"
    given = outputs(what, task.forward, variables, batch, jax.random.key(0))
    if not isinstance(given, tuple) or len(given) != 2:
        raise UserError(f"{what} must give ({{branch: LossInputs}}, variables), and gives {written(given)}")
    branches, updated = given
    branches = of_branches(what, branches, [*task.offers, *task.auxiliary_losses])
    for branch, names in task.offers.items():
        check_loss_inputs(f"{what}, branch '{branch}'", branches[branch], names)
    if not isinstance(updated, Mapping):
        raise UserError(f"{what} must give the variables as its second value, not {written(updated)}")
    # The parameters in it are ignored.
    statistics = [{name: group for name, group in one.items() if name != "params"} for one in (variables, updated)]
    for path, expected, came in differences(*statistics):
        raise UserError(f"{what} must give variables like those it takes: {expected} as {path} was expected, {came} came")
    return branches


def _check_auxiliary_losses(task: Task, branches: Mapping[str, LossInputs]) -> None:
    for branch, function in task.auxiliary_losses.items():
        what = f"the auxiliary loss '{branch}' of the task {task.name}"
        if branch in task.offers:
            raise UserError(f"{what} is of a branch that the task offers to losses: name another branch")
        check_scalar(what, outputs(what, lambda inputs, function=function: function(inputs, None), branches[branch]))


def _check_scores(task: Task, variables: PyTree) -> None:
    what = f"scores of the task {task.name}"
    examples = shapes(task.data[SEARCH_EVAL])
    scores = {} if task.scores is None else outputs(what, task.scores, variables, examples)
    if not isinstance(scores, Mapping):
        raise UserError(f"{what} must give {{name: scalar}}, and gives {written(scores)}")
    on_host = _check_host_metrics(task, variables, examples)
    if twice := sorted({*scores} & {*on_host}):
        raise UserError(f"scores and host_metrics of the task {task.name} both give '{twice[0]}': name one of them otherwise")
    of_parts = {name: "parts" for parts in task.parts.values() for name in parts.values()}
    telling = {} if task.telling is None else {task.telling: "telling"}
    for name, key in {**of_parts, **dict.fromkeys(task.also_shown, "also_shown"), **telling, task.metric: "metric"}.items():
        if name not in {**scores, **on_host}:
            near = did_you_mean(name, [*scores, *on_host])
            more = f", and host_metrics gives {', '.join(on_host)}" if on_host else ""
            raise UserError(f"{what} lacks '{name}', which the task has as its {key}.{near} It gives {written(scores)}{more}")
    for name, value in scores.items():
        check_scalar(f"{what}, '{name}'", value)


def _check_host_metrics(task: Task, variables: PyTree, examples: PyTree) -> dict[str, None]:
    """The names of the scores that the host computes."""
    metrics = task.host_metrics
    if metrics is None:
        return {}
    what = f"host_metrics.predict of the task {task.name}"
    predictions = outputs(what, lambda *given: metrics.predict_rows(*given, 0), variables, examples)
    for path, leaf in jax.tree_util.tree_leaves_with_path(predictions):
        if not is_array(leaf) or leaf.shape[:1] != (metrics.batch_size,):
            raise UserError(
                f"{what} must give arrays [{metrics.batch_size}, ...], one row for each example, and predictions"
                f"{jax.tree_util.keystr(path)} is {written(leaf)}"
            )
    return dict.fromkeys(metrics.names)


def _row(leaf: Any) -> tuple[Any, ...]:
    """What all rows of a split have in common."""
    return (jax.eval_shape(lambda: leaf).dtype, leaf.shape[1:]) if is_array(leaf) else (type(leaf),)


def _kind(leaf: Any) -> tuple[Any, ...]:
    """Shape, and what kind of numbers: a batch may be computed in another precision, and images may be cropped."""
    if not is_array(leaf):
        return (type(leaf),)
    shape = leaf.shape if leaf.ndim < 3 else (leaf.shape[0], *leaf.shape[3:], leaf.ndim)
    return (shape, is_number(leaf), is_float(leaf))
