"""What is wrong with the made-up outputs that a task offers to tell losses apart by, in one line."""

from typing import Any

import jax

from jaxloss.core.abstract import is_array, is_float, named_errors, outputs, shapes, written
from jaxloss.core.errors import UserError
from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import PyTree
from jaxloss.tasks.base import Task
from jaxloss.tasks.check_inputs import check_loss_inputs, of_branches


def check_output_samples(task: Task) -> None:
    """Makes the samples of `Task.output_samples`, and evaluates their inputs abstractly.

    Raises:
      UserError: one line for the first mistake, with what was expected and what came.
    """
    if task.output_samples is None:
        return
    what = f"output_samples of the task {task.name}"
    with named_errors(what):
        samples = task.output_samples()
    if not isinstance(samples, OutputSamples):
        raise UserError(f"{what} must give OutputSamples, not {written(samples)}")
    _check_arrays(what, samples)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), shapes((samples.outputs, samples.context)))
    given = of_branches(f"inputs of {what}", outputs(f"inputs of {what}", samples.inputs, *one), list(task.offers))
    for branch, names in task.offers.items():
        check_loss_inputs(f"inputs of {what}, branch '{branch}'", given[branch], names)


def _check_arrays(what: str, samples: OutputSamples) -> None:
    leaves = _leaves(samples.outputs)
    if not leaves:
        raise UserError(f"{what} has no outputs")
    for path, leaf in leaves:
        if not is_float(leaf) or len(leaf.shape) < 2 or 0 in leaf.shape:
            expected = "float32[K, N, ...], K batches of N samples,"
            raise UserError(f"{what}: {expected} was expected as the outputs{path}, {written(leaf)} came")
    places = leaves[0][1].shape[:2]
    for path, leaf in leaves:
        _expect_leading(what, f"outputs{path}", leaf, places)
    for path, leaf in _leaves(samples.context):
        _expect_leading(what, f"context{path}", leaf, places[:1])


def _leaves(tree: PyTree) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _expect_leading(what: str, place: str, leaf: Any, expected: tuple[int, ...]) -> None:
    if not is_array(leaf) or leaf.shape[: len(expected)] != expected:
        words = ", ".join(map(str, expected))
        raise UserError(f"{what}: an array [{words}, ...] was expected as the {place}, {written(leaf)} came")
