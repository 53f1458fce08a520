"""Average precision by masks as COCO's own evaluator computes it, on the host."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.data.boxes.source import BOXES, CROWD, LABELS, VALID
from jaxloss.tasks.data.instances.arrays import NUMBER
from jaxloss.tasks.data.instances.bitmaps import RunLengths, encoded, num_pixels
from jaxloss.tasks.detection.scoring import METRICS, class_scores, scores_of
from jaxloss.tasks.host_metrics import HostMetrics
from jaxloss.tasks.instance_segmentation.pasting import paste
from jaxloss.tasks.instance_segmentation.settings import BOX_METRICS
from jaxloss.tasks.instance_segmentation.stages import FoundMasks
from jaxloss.tasks.metrics.coco_evaluator import MASKS, Annotations, evaluate

_OF_EXAMPLES = (BOXES, LABELS, VALID, CROWD, NUMBER)


def make_host_metrics(
    find: Callable[[PyTree, Mapping[str, Array]], FoundMasks],
    true_masks: Callable[[int], Sequence[RunLengths]],
    class_names: Sequence[str],
    image_size: tuple[int, int],
    batch_size: int,
) -> HostMetrics:
    """The scores of a task of instance segmentation: those of masks by the names of detection, and some of boxes.

    Areas, small to large, are those of masks.

    Args:
      find: `(variables, examples) -> FoundMasks`, in evaluation mode.
      true_masks: `(number of an image) -> the masks of its objects` in the order of its boxes, in the size of `image_size`.
      class_names: `[C]`.
      image_size: (height, width) of the images that are scored.
      batch_size: images at a time.
    """

    def predict(variables: PyTree, examples: Mapping[str, Array]) -> dict[str, Array]:
        found = find(variables, examples)
        return {**found.detections._asdict(), "masks": found.masks}

    def accumulate(state: list, predictions: Mapping[str, np.ndarray], examples: Mapping[str, np.ndarray]) -> list:
        for row in range(len(examples[VALID])):
            there = np.flatnonzero(predictions["labels"][row] >= 0)
            found = {name: predictions[name][row, there] for name in ("boxes", "scores", "labels")}
            masks = [
                encoded(paste(mask, box, image_size))
                for mask, box in zip(predictions["masks"][row, there], found["boxes"], strict=True)
            ]
            state.append((found, masks, {name: examples[name][row] for name in _OF_EXAMPLES}))
        return state

    def compute(state: list) -> dict[str, float]:
        truth, found = (Annotations(len(state), len(class_names)) for _ in range(2))
        for image, (own, masks, example) in enumerate(state):
            for k, mask in zip(np.flatnonzero(example[VALID]), true_masks(int(example[NUMBER])), strict=True):
                said = {"iscrowd": int(example[CROWD][k]), "segmentation": mask, "area": num_pixels(mask)}
                truth.add(image, example[BOXES][k], example[LABELS][k], **said)
            for box, label, score, mask in zip(own["boxes"], own["labels"], own["scores"], masks, strict=True):
                said = {"score": float(score), "segmentation": mask, "area": num_pixels(mask)}
                found.add(image, box, label, **said)
        of_boxes = scores_of(evaluate(truth, found), class_names)
        of_masks = scores_of(evaluate(truth, found, MASKS), class_names)
        return {**of_masks, **{name: of_boxes[name.removeprefix("box_")] for name in BOX_METRICS}}

    names = (*METRICS, *class_scores(class_names).values(), *BOX_METRICS)
    return HostMetrics(names, predict, list, accumulate, compute, batch_size)
