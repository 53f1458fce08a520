"""COCO's own evaluator, asked without files and without a word to the terminal."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pycocotools import cocoeval

BOXES, KEYPOINTS, MASKS = "bbox", "keypoints", "segm"
_QUIET = threading.Lock()


class Annotations:
    """Objects of some images in the form that the evaluator asks for, in place of its own class, which prints."""

    def __init__(self, num_images: int, num_classes: int):
        """Without an object at first."""
        self.num_images, self.num_classes = num_images, num_classes
        self._all: list[dict[str, Any]] = []

    def add(self, image: int, box: Sequence[float], label: int, **rest: Any) -> None:
        """A box (left, top, right, bottom) of a class.

        `rest` is what else is known of it: `score`, `iscrowd`, `keypoints`, `segmentation` (compressed run lengths of an image)
        and `area`, where that is not the area of the box.
        """
        left, top, right, bottom = (float(value) for value in box)
        width, height = right - left, bottom - top
        # Numbered from 1: the evaluator takes 0 for 'matched with nothing'.
        record = {"id": len(self._all) + 1, "image_id": image, "category_id": int(label), "bbox": [left, top, width, height]}
        self._all.append({**record, "area": width * height, "iscrowd": 0, **rest})

    def getImgIds(self) -> list[int]:  # noqa: N802, the evaluator's name
        """All images."""
        return list(range(self.num_images))

    def getCatIds(self) -> list[int]:  # noqa: N802
        """All classes."""
        return list(range(self.num_classes))

    def getAnnIds(self, imgIds: Iterable[int] = (), catIds: Iterable[int] = ()) -> list[int]:  # noqa: N802, N803
        """All objects: the evaluator asks for those of all images and classes only."""
        del imgIds, catIds
        return list(range(len(self._all)))

    def loadAnns(self, ids: Iterable[int]) -> list[dict[str, Any]]:  # noqa: N802
        """The objects with these places."""
        return [self._all[place] for place in ids]

    def annToRLE(self, annotation: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """The mask of an object."""
        return annotation["segmentation"]


def evaluate(truth: Annotations, found: Annotations, kind: str = BOXES, sigmas: Sequence[float] | None = None) -> np.ndarray:
    """The precision at 101 recalls, float64 `[thresholds, recalls, classes, areas]`, NaN where nothing is to be found.

    The 100 surest boxes or masks, or 20 surest sets of keypoints, of an image count. Areas are those of COCO: all, below 32 x 32
    pixels (but for keypoints), below 96 x 96, and above.

    Args:
      truth: what is to be found.
      found: with scores.
      kind: `BOXES` or `MASKS`, compared by IoU, or `KEYPOINTS`, by object keypoint similarity.
      sigmas: of the keypoints, `[K]`; None for those of COCO.
    """
    evaluation = cocoeval.COCOeval(truth, found, kind)
    if sigmas is not None:
        evaluation.params.kpt_oks_sigmas = np.asarray(sigmas, float)
    # The evaluator tells the terminal what it does.
    with _QUIET:
        cocoeval.print = lambda *_: None
        try:
            evaluation.evaluate()
            evaluation.accumulate()
        finally:
            del cocoeval.print
    precision = evaluation.eval["precision"][..., -1]
    return np.where(precision < 0, np.nan, precision)
