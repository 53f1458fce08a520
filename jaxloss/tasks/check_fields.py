"""Whether the fields of a task hold what they are declared to hold, before any of its functions is called."""

from collections.abc import Mapping
from typing import Any

from jaxloss.core.abstract import written
from jaxloss.core.errors import UserError
from jaxloss.tasks.base import Task
from jaxloss.tasks.host_metrics import HostMetrics
from jaxloss.tasks.pictures import Pictures

_FUNCTIONS = ("init", "forward", "with_division")
_OPTIONAL_FUNCTIONS = ("scores", "augment", "order", "backbone", "forward_over", "final_scores", "output_samples")
_OF_FUNCTIONS = ("problems", "auxiliary_losses")


def check_task_fields(task: Task) -> None:
    """Looks at the types of all fields.

    Raises:
      UserError: one line for the first that is of another type, with what was expected and what came.
    """
    for name in ("name", "metric"):
        _expect(task, name, isinstance(getattr(task, name), str), "a text")
    _expect(task, "telling", task.telling is None or isinstance(task.telling, str), "the name of a score or None")
    for name in ("also_shown", "independent_classes", "customary_losses"):
        _expect(task, name, _are_names(getattr(task, name)), "a tuple of names")
    _expect(task, "remarks", _are_names(task.remarks), "a tuple of lines")
    for name in ("offers", "data", "ranges", "meanings", "details", "parts", *_OF_FUNCTIONS):
        _expect(task, name, isinstance(getattr(task, name), Mapping), "a dict")
    _expect(task, "offers", bool(task.offers), "a dict of at least one branch")
    for branch, names in task.offers.items():
        _expect(task, f"offers[{branch!r}]", _are_names(names) and names, "a tuple of names of arrays", names)
    for branch, ranges in task.ranges.items():
        _expect(task, f"ranges[{branch!r}]", isinstance(ranges, Mapping), "a dict {input: (low, high)}", ranges)
    for branch, words in task.meanings.items():
        is_table = isinstance(words, Mapping) and _are_names((*words, *words.values()))
        _expect(task, f"meanings[{branch!r}]", is_table, "a dict {input: text}", words)
    for name in _FUNCTIONS:
        _expect(task, name, callable(getattr(task, name)), "a function")
    for name in _OPTIONAL_FUNCTIONS:
        _expect(task, name, getattr(task, name) is None or callable(getattr(task, name)), "a function or None")
    for name in _OF_FUNCTIONS:
        for key, function in getattr(task, name).items():
            _expect(task, f"{name}[{key!r}]", callable(function), "a function", function)
    for title, parts in task.parts.items():
        is_table = isinstance(parts, Mapping) and _are_names((*parts, *parts.values()))
        _expect(task, f"parts[{title!r}]", is_table, "a dict {part: name of a score}", parts)
    metrics = task.host_metrics
    _expect(task, "host_metrics", metrics is None or isinstance(metrics, HostMetrics), "HostMetrics or None")
    _expect(task, "pictures", task.pictures is None or isinstance(task.pictures, Pictures), "Pictures or None")


def _expect(task: Task, name: str, holds: Any, expected: str, *value: Any) -> None:
    came = value[0] if value else getattr(task, name)
    if not holds:
        shown = f"'{came}'" if isinstance(came, str) else written(came)
        raise UserError(f"{name} of the task {task.name} must be {expected}, not {shown}")


def _are_names(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(one, str) for one in value)
