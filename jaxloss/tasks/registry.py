"""Tasks by name. A new one is a file in this room, or any module of yours, and one line here.

Every factory is called as `(settings, context) -> Task`, see `tasks.context.TaskContext`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxloss.core.later import later
from jaxloss.core.settings import Settings
from jaxloss.tasks.base import Task
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.detection.settings import DetectionSettings
from jaxloss.tasks.fast import FastSettings
from jaxloss.tasks.instance_segmentation.settings import InstanceSegmentationSettings
from jaxloss.tasks.pose.settings import PoseSettings
from jaxloss.tasks.regression.settings import RegressionSettings
from jaxloss.tasks.retrieval_settings import RetrievalSettings
from jaxloss.tasks.segmentation.settings import SegmentationSettings
from jaxloss.tasks.two_stage_detection.settings import TwoStageDetectionSettings


class RegisteredTask(NamedTuple):
    """A task that can be named.

    Attributes:
      settings: the class of its section `task.NAME`.
      make: the factory.
    """

    settings: type[Settings]
    make: Callable[[Any, TaskContext], Task]


TASKS: dict[str, RegisteredTask] = {
    "classification": RegisteredTask(ClassificationSettings, later("jaxloss.tasks.classification:make_classification")),
    "detection": RegisteredTask(DetectionSettings, later("jaxloss.tasks.detection.task:make_detection")),
    "fast": RegisteredTask(FastSettings, later("jaxloss.tasks.fast:make_fast")),
    "instance_segmentation": RegisteredTask(
        InstanceSegmentationSettings, later("jaxloss.tasks.instance_segmentation.task:make_instance_segmentation")
    ),
    "pose": RegisteredTask(PoseSettings, later("jaxloss.tasks.pose.task:make_pose")),
    "regression": RegisteredTask(RegressionSettings, later("jaxloss.tasks.regression.task:make_regression")),
    "retrieval": RegisteredTask(RetrievalSettings, later("jaxloss.tasks.retrieval:make_retrieval")),
    "segmentation": RegisteredTask(SegmentationSettings, later("jaxloss.tasks.segmentation.task:make_segmentation")),
    "two_stage_detection": RegisteredTask(
        TwoStageDetectionSettings, later("jaxloss.tasks.two_stage_detection.task:make_two_stage_detection")
    ),
}
