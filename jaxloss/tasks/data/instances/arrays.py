"""Images with the masks of objects as arrays: masks in their boxes for training, numbers of images for scores."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from jaxloss.tasks.data.boxes.source import IMAGE, Annotation, BoxedImages, BoxSource
from jaxloss.tasks.data.instances.bitmaps import RunLengths, encoded, in_box, in_frame

MASKS, NUMBER = "masks", "number"


def numbered(source: BoxSource) -> BoxSource:
    """The same with every image numbered from 0 on: those of `train`, then those of `test`."""
    parts, first = [], 0
    for part in (source.train, source.test):
        if part is not None:
            own = tuple(dataclasses.replace(one, number=first + row) for row, one in enumerate(part.annotations))
            part, first = dataclasses.replace(part, annotations=own), first + len(part)
        parts.append(part)
    return dataclasses.replace(source, train=parts[0], test=parts[1])


def masks_in_boxes(annotation: Annotation, most: int, side: int) -> np.ndarray:
    """The masks of an image, each in its box, bool `[most, side, side]`, padded with nothing.

    Args:
      annotation: of the image, with masks.
      most: objects that there is room for.
      side: cells along each side of a box.
    """
    found = np.zeros((most, side, side), bool)
    for row, (box, mask) in enumerate(zip(annotation.boxes, annotation.masks, strict=True)):
        height, width = mask["size"]
        # Boxes are those of the scaled image, masks those of the image as it was.
        scale = np.array([width, height] * 2) / annotation.content[[2, 3, 2, 3]]
        found[row] = in_box(mask, box * scale, side)
    return found


def instance_arrays(part: BoxedImages, most: int, side: int | None) -> dict[str, np.ndarray]:
    """What is known of the images of a split: `BoxedImages.annotation_arrays`, `number` int32 `[N]` and `masks`.

    Args:
      part: the split.
      most: `K`, objects of an image that there is room for.
      side: of `masks` bool `[N, K, side, side]`; None leaves them out.
    """
    arrays = part.annotation_arrays(most) | {NUMBER: np.array([one.number for one in part.annotations], np.int32)}
    if side is not None:
        arrays[MASKS] = np.stack([masks_in_boxes(one, most, side) for one in part.annotations])
    return arrays


class InstanceRows:
    """Images and masks that are made when they are asked for: a `stream.RowSource`."""

    def __init__(self, part: BoxedImages, most: int, side: int):
        """See `instance_arrays`."""
        self._part, self._most, self._side = part, most, side
        self._arrays = instance_arrays(part, most, None)

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        own = {name: array[row] for name, array in self._arrays.items()}
        masks = masks_in_boxes(self._part.annotations[row], self._most, self._side)
        return {IMAGE: self._part.images[row], **own, MASKS: masks}


class TrueMasks:
    """The masks of the objects of a source in the size of its frame, by the number of their image."""

    def __init__(self, source: BoxSource, size: tuple[int, int]):
        """Args:
        source: whose images are `numbered`.
        size: (height, width) of the frame.
        """
        parts = [part for part in (source.train, source.test) if part is not None]
        self._annotations: Mapping[int, Annotation] = {one.number: one for part in parts for one in part.annotations}
        self._size = size
        # Kept: a search scores the same images after every training.
        self._framed = functools.lru_cache(maxsize=None)(self._in_frame)

    def __call__(self, number: int) -> Sequence[RunLengths]:
        """The masks of an image, in the order of its boxes."""
        return self._framed(number)

    def _in_frame(self, number: int) -> tuple[RunLengths, ...]:
        annotation = self._annotations[number]
        inner = tuple(round(float(side)) for side in annotation.content[[3, 2]])
        return tuple(encoded(in_frame(mask, inner, self._size)) for mask in annotation.masks)
