"""The task that a program hands to a run, in place of one that the config names: what the run keeps of it."""

import hashlib
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from jaxloss.core.abstract import outputs, written
from jaxloss.core.errors import UserError
from jaxloss.runs.directory import open_for_reading
from jaxloss.tasks.base import SPLITS, Task
from jaxloss.tasks.check_fields import check_task_fields
from jaxloss.tasks.context import GIVEN
from jaxloss.tasks.data.stream import StreamedRows

# What `task.options` say of such a task, so that another one is told from it.
_WHAT = {
    "name": "task",
    "metric": "metric",
    "called": "network, by its name",
    "network": "network, by the shapes of its variables",
    "data": "data",
}


def with_given_task(config: ml_collections.ConfigDict, task: Task) -> ml_collections.ConfigDict:
    """A copy of the config that names the task.

    Args:
      config: of a run; what it says of tasks that it could name itself does not act.
      task: as it will be trained on.

    Raises:
      UserError: for a task whose fields are none, and for a config that names a task of its own.
    """
    check_task_fields(task)
    if ":" in config.task.name:
        raise UserError(f"run was given a task, and its config names another: task.name={config.task.name}")
    filled = config.copy_and_resolve_references()
    filled.task.name = GIVEN
    filled.task.options = ml_collections.ConfigDict(_facts(task))
    return filled


def like_the_run(config: ml_collections.ConfigDict, workdir: str | Path) -> ml_collections.ConfigDict:
    """The config with what a run says of its task, which has to be this one.

    Args:
      config: see `with_given_task`.
      workdir: of the run; it need not be there.

    Returns:
      The config; what an earlier version did not store of a task is left out, so that its run can go on.

    Raises:
      UserError: says what differs: the data, the network, the metric or the name.
    """
    if not (Path(workdir) / "config.json").is_file():
        return config
    with open_for_reading(workdir) as run:
        stored = run.config.get("task", {}) if run.archive.has_begun() else {}
    if stored.get("name") != GIVEN:
        return config
    options = config.task.options.to_dict()
    for option, what in _WHAT.items():
        if option not in stored["options"]:
            del options[option]
        elif (was := stored["options"][option]) != (given := options[option]):
            raise UserError(
                f"the run in '{workdir}' was begun with other {what} ({was}, not {given}): give it the same, "
                "or use another workdir"
            )
    like = config.copy_and_resolve_references()
    like.task.options = ml_collections.ConfigDict(options)
    return like


def _facts(task: Task) -> dict[str, str]:
    variables = outputs(f"init of the task {task.name}", task.init, jax.random.key(0))
    shapes = [f"{jax.tree_util.keystr(path)} {written(leaf)}" for path, leaf in jax.tree_util.tree_leaves_with_path(variables)]
    called = str(task.details.get("network", ""))
    return {"name": task.name, "metric": task.metric, "called": called, "network": _digest(shapes), "data": _data(task)}


def _data(task: Task) -> str:
    """The sizes of the splits, and a digest of all that they hold."""
    sizes, parts = [], []
    for split in SPLITS:
        examples = task.data.get(split)
        if isinstance(examples, StreamedRows):
            # What is read only as it is needed is known by its shapes alone.
            parts += [written(leaf) for leaf in jax.tree.leaves(examples.shapes)]
            sizes.append(str(len(examples.source)))
            continue
        leaves = jax.tree.leaves(examples)
        parts += [np.ascontiguousarray(leaf) for leaf in leaves]
        sizes.append(str(len(leaves[0])) if leaves and np.ndim(leaves[0]) else "0")
    return f"{' + '.join(sizes)} examples, {_digest(parts)}"


def _digest(parts: list[Any]) -> str:
    total = hashlib.sha256()
    for part in parts:
        header = part if isinstance(part, str) else written(part)
        total.update(header.encode())
        total.update(b"" if isinstance(part, str) else part.tobytes())
    return total.hexdigest()[:12]
