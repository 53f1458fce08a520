"""Boxes as pictures: the true ones, and those that a network finds, right, made up and missed."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxloss.core.boxes import overlap
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.data.boxes.source import BOXES, CROWD, IMAGE, LABELS, VALID
from jaxloss.tasks.detection.nms import Detections
from jaxloss.tasks.pictures import LegendEntry, Pictures, Sheet
from jaxloss.tasks.segmentation.palette import colours_by_frequency

TRUTH = "truth"
# Surer boxes are drawn, at most so many of an image; one is right whose IoU with a true one of its class is at least this.
SHOWN_SCORE, MOST, RIGHT_IOU = 0.3, 50, 0.5
_WIDTH, _THICKNESS, _DASH = 480, 3, 8
_SWATCH = (16, 24)
_WHITE, _GREY = np.array([255] * 3, np.uint8), np.array([128] * 3, np.uint8)
# `(column, row of the picture, number of the box or object) -> mask bool [h, w]` of the image.
Masks = Callable[[str, int, int], np.ndarray]


def make_pictures(detect: Callable[[PyTree, Mapping[str, Array]], Detections], class_names: Sequence[str]) -> Pictures:
    """Pictures of boxes.

    Args:
      detect: `(variables, examples) -> Detections` `[N, M, ...]`, in evaluation mode.
      class_names: `[C]`.
    """

    def outputs(variables: PyTree, examples: Mapping[str, Array]) -> dict[str, Array]:
        """The surest boxes, float32 `[N, MOST, 4]`, their scores and classes, `[N, MOST]`."""
        return {name: one[:, :MOST] for name, one in detect(variables, examples)._asdict().items()}

    return Pictures(outputs, functools.partial(draw, class_names))


def draw(
    class_names: Sequence[str],
    examples: Mapping[str, np.ndarray],
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    masks: Masks | None = None,
) -> Sheet:
    """The images with their true boxes, and with those of each network.

    Args:
      class_names: `[C]`.
      examples: a split of a detection task, in NumPy arrays, `[n, ...]`.
      outputs: name of a network -> its `boxes`, `scores` and `labels`.
      masks: what of an image belongs to an object or a found box, which is tinted; None where boxes are all that is known.
    """
    num_classes = len(class_names)
    valid, crowd = examples[VALID], examples[CROWD]
    counts = np.bincount(examples[LABELS][valid], minlength=num_classes)
    colours = colours_by_frequency(counts)
    scale = max(1, _WIDTH // examples[IMAGE].shape[2])
    large = examples[IMAGE].repeat(scale, axis=1).repeat(scale, axis=2)
    columns = {TRUTH: large.copy(), **{name: large.copy() for name in outputs}}

    def show(column: str, row: int, k: int, box: np.ndarray, colour: np.ndarray, dashed: bool = False) -> None:
        if masks is not None:
            _tint(columns[column][row], masks(column, row, k).repeat(scale, axis=0).repeat(scale, axis=1), colour)
        _frame(columns[column][row], box * scale, colour, dashed)

    for row in range(len(large)):
        for k in np.flatnonzero(valid[row]):
            colour = _GREY if crowd[row, k] else colours[examples[LABELS][row, k]]
            show(TRUTH, row, int(k), examples[BOXES][row, k], colour)
        for name, found in outputs.items():
            right, missed = judge({key: one[row] for key, one in found.items()}, {key: one[row] for key, one in examples.items()})
            for k in missed:
                _frame(columns[name][row], examples[BOXES][row, k] * scale, _WHITE, dashed=True)
            for k, is_right in right.items():
                show(name, row, k, found["boxes"][row, k], colours[found["labels"][row, k]], not is_right)
    legend = [LegendEntry(class_names[index], _swatch(colours[index])) for index in range(num_classes)]
    legend += [
        LegendEntry("a box that is made up", _swatch(colours[0], dashed=True)),
        LegendEntry("an object that is missed", _swatch(_WHITE, True)),
    ]
    legend += [LegendEntry("a crowd, which counts nowhere", _swatch(_GREY))] * bool(crowd.any())
    note = f"Shown are scores from {SHOWN_SCORE}; a box is right whose IoU with a true one of its class is {RIGHT_IOU} or more."
    return Sheet(columns, tuple(legend), note)


def judge(found: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> tuple[dict[int, bool], list[int]]:
    """Which boxes of an image are right, and which objects nobody found: each object is found once, by the surest box.

    Args:
      found: `boxes` `[M, 4]`, `scores` and `labels` `[M]`, the surest first.
      truth: `boxes` `[K, 4]`, `labels`, `valid` and `crowd` `[K]`.

    Returns:
      Number of a box that is shown -> whether it is right; and the numbers of the objects that are missed.
    """
    left = [int(k) for k in np.flatnonzero(truth[VALID] & ~truth[CROWD])]
    right = {}
    for k in np.flatnonzero((found["labels"] >= 0) & (found["scores"] >= SHOWN_SCORE)):
        own = [other for other in left if truth[LABELS][other] == found["labels"][k]]
        iou = np.asarray(overlap(found["boxes"][k][None], truth[BOXES][own]).iou) if own else np.zeros(0)
        right[int(k)] = bool(own) and iou.max() >= RIGHT_IOU
        if right[int(k)]:
            left.remove(own[int(iou.argmax())])
    return right, left


def _frame(picture: np.ndarray, box: np.ndarray, colour: np.ndarray, dashed: bool = False) -> None:
    """Draws a box into a picture uint8 `[h, w, 3]`, its lines inside of it."""
    height, width = picture.shape[:2]
    left, top, right, bottom = (int(value) for value in np.clip(np.round(box), 0, [width, height, width, height]))
    inside = np.zeros((height, width), bool)
    inside[top:bottom, left:right] = True
    inside[top + _THICKNESS : bottom - _THICKNESS, left + _THICKNESS : right - _THICKNESS] = False
    if dashed:
        rows, columns = np.indices((height, width))
        inside &= (rows + columns) % (2 * _DASH) < _DASH
    picture[inside] = colour


def _tint(picture: np.ndarray, mask: np.ndarray, colour: np.ndarray) -> None:
    """Lays a colour over what of a picture uint8 `[h, w, 3]` belongs to a mask; what is beneath stays to be seen."""
    picture[mask] = (picture[mask].astype(np.uint16) + colour) // 2


def _swatch(colour: np.ndarray, dashed: bool = False) -> np.ndarray:
    picture = np.full((*_SWATCH, 3), 90, np.uint8)
    _frame(picture, np.array([0, 0, _SWATCH[1], _SWATCH[0]]), colour, dashed)
    return picture
