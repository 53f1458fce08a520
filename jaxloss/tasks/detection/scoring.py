"""Average precision as COCO's own evaluator computes it, on the host."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pycocotools import cocoeval

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.data.boxes.source import BOXES, CROWD, LABELS, VALID
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.host_metrics import HostMetrics
from jaxloss.tasks.metrics.coco_evaluator import Annotations, evaluate

AP = "ap"
# Name -> (IoU that is asked for, or None for the mean from 0.5 to 0.95; sizes of boxes, as the evaluator calls them).
METRICS: Mapping[str, tuple[float | None, str]] = {
    AP: (None, "all"),
    "ap50": (0.5, "all"),
    "ap75": (0.75, "all"),
    "ap_small": (None, "small"),
    "ap_medium": (None, "medium"),
    "ap_large": (None, "large"),
}
_AREAS = ("all", "small", "medium", "large")


def class_scores(class_names: Sequence[str]) -> dict[str, str]:
    """Class -> the name of its score."""
    return {name: f"{AP} of {name}" for name in class_names}


def scores_of(precision: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """All metrics and those of single classes; NaN where there is no such box to be found."""
    ious = cocoeval.Params("bbox").iouThrs
    scores = {}
    for name, (iou, area) in METRICS.items():
        rows = slice(None) if iou is None else np.flatnonzero(np.isclose(ious, iou))
        scores[name] = _mean(precision[rows][..., _AREAS.index(area)])
    single = class_scores(class_names)
    return scores | {single[name]: _mean(precision[:, :, index, 0]) for index, name in enumerate(class_names)}


def _mean(precision: np.ndarray) -> float:
    there = precision[~np.isnan(precision)]
    return float(there.mean()) if there.size else float("nan")


def make_host_metrics(
    detect: Callable[[PyTree, Mapping[str, Array]], Detections], class_names: Sequence[str], batch_size: int
) -> HostMetrics:
    """The scores of a detection task.

    Args:
      detect: `(variables, examples) -> Detections` `[N, M, ...]`, in evaluation mode.
      class_names: `[C]`.
      batch_size: images at a time.
    """

    def predict(variables: PyTree, examples: Mapping[str, Array]) -> dict[str, Array]:
        return detect(variables, examples)._asdict()

    def accumulate(state: list, predictions: Mapping[str, np.ndarray], examples: Mapping[str, np.ndarray]) -> list:
        state.append((predictions, {name: examples[name] for name in (BOXES, LABELS, VALID, CROWD)}))
        return state

    def compute(state: list) -> dict[str, float]:
        num_images = sum(len(examples[VALID]) for _, examples in state)
        truth, found = (Annotations(num_images, len(class_names)) for _ in range(2))
        first = 0
        for predictions, examples in state:
            for row in range(len(examples[VALID])):
                for k in np.flatnonzero(examples[VALID][row]):
                    is_crowd = int(examples[CROWD][row, k])
                    truth.add(first + row, examples[BOXES][row, k], examples[LABELS][row, k], iscrowd=is_crowd)
                for k in np.flatnonzero(predictions["labels"][row] >= 0):
                    score = float(predictions["scores"][row, k])
                    found.add(first + row, predictions["boxes"][row, k], predictions["labels"][row, k], score=score)
            first += len(examples[VALID])
        return scores_of(evaluate(truth, found), class_names)

    names = (*METRICS, *class_scores(class_names).values())
    return HostMetrics(names, predict, list, accumulate, compute, batch_size)
