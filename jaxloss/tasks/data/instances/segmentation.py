"""The field `segmentation` of an annotation of COCO: polygons, or run lengths, compressed or not."""

import json
from collections.abc import Mapping
from typing import Any

from pycocotools import mask as codec

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.coco_json import value_of
from jaxloss.tasks.data.instances.bitmaps import RunLengths

_SHOWN = 60


def mask_of(record: Mapping[str, Any], size: tuple[int, int], origin: str) -> RunLengths:
    """The mask of an annotation.

    Args:
      record: the annotation.
      size: (height, width) of its image.
      origin: file and record, for error lines.

    Raises:
      UserError: the segmentation is absent, a polygon has less than three points, the run lengths are of an image of another
        size, or it is none of these.

    References:
      T.-Y. Lin et al.: Microsoft COCO: Common Objects in Context, ECCV 2014; pycocotools decodes.
    """
    given = value_of(record, "segmentation", origin)
    if isinstance(given, list):
        return _of_polygons(given, size, origin)
    if not isinstance(given, dict) or {*given} < {"size", "counts"}:
        written = json.dumps(given)
        shown = written if len(written) <= _SHOWN else f"{written[:_SHOWN]}..."
        raise UserError(f"{origin}: segmentation must be polygons, or run lengths with size and counts, not {shown}")
    if given["size"] != list(size):
        raise UserError(f"{origin}: the run lengths are of {given['size']} (height, width), and the image is {[*size]}")
    return _of_counts(given, size, origin)


def _of_polygons(given: list[Any], size: tuple[int, int], origin: str) -> RunLengths:
    if not given:
        raise UserError(f"{origin}: segmentation has no polygon")
    for number, polygon in enumerate(given):
        if not isinstance(polygon, list) or not all(type(value) in (int, float) for value in polygon) or len(polygon) % 2:
            raise UserError(f"{origin}, polygon {number}: x and y of each point in one list were expected")
        if len(polygon) < 6:
            raise UserError(f"{origin}, polygon {number}: a polygon has three points at least, not {len(polygon) // 2}")
    return codec.merge(codec.frPyObjects(given, *size))


def _of_counts(given: Mapping[str, Any], size: tuple[int, int], origin: str) -> RunLengths:
    counts, num_pixels = given["counts"], size[0] * size[1]
    if isinstance(counts, list):
        if not all(type(value) is int and value >= 0 for value in counts):
            raise UserError(f"{origin}: counts of run lengths must be whole numbers from 0 on")
        if sum(counts) != num_pixels:
            raise UserError(f"{origin}: the run lengths have {sum(counts)} pixels, and the image {num_pixels}")
        return codec.frPyObjects(dict(given), *size)
    if not isinstance(counts, str) or (total := _length(counts)) is None:
        raise UserError(f"{origin}: counts must be run lengths, a list of numbers or their compressed text")
    if total != num_pixels:
        raise UserError(f"{origin}: the run lengths have {total} pixels, and the image {num_pixels}")
    return {"size": list(size), "counts": counts.encode()}


def _length(text: str) -> int | None:
    """Pixels of a compressed code; None for what is none. The decoder itself reads and writes beyond the end of such a thing.

    Five bits a character from the lowest on, the sixth says that more follow; from the fourth run on a number is the difference
    from the last but one (`rleFrString` of COCO's `maskApi.c`).
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64:
            return None
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            return None
        value, shift = 0, 0
    return None if shift else sum(runs)
