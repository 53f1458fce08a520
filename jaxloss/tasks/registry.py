"""Tasks by name. A new one is a file in this room, or any module of yours, and one line here.

Every factory is called as `(settings, context) -> Task`, see `tasks.context.TaskContext`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxloss.core.settings import Settings
from jaxloss.tasks.base import Task
from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.retrieval import make_retrieval
from jaxloss.tasks.retrieval_settings import RetrievalSettings


class RegisteredTask(NamedTuple):
    """A task that can be named.

    Attributes:
      settings: the class of its section `task.NAME`.
      make: the factory.
    """

    settings: type[Settings]
    make: Callable[[Any, TaskContext], Task]


TASKS: dict[str, RegisteredTask] = {
    "classification": RegisteredTask(ClassificationSettings, make_classification),
    "fast": RegisteredTask(FastSettings, make_fast),
    "retrieval": RegisteredTask(RetrievalSettings, make_retrieval),
}
