"""The annotation files of COCO, read: JSON with lists of images, annotations and categories."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.errors import UserError

_LISTS = ("images", "annotations", "categories")


def read_coco_json(path: pathlib.Path) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The three lists of records.

    Raises:
      UserError: names the file that is no JSON, the list that is absent, or the record that is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON: {str(error).splitlines()[0]}") from error
    for name in _LISTS:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise UserError(f"{path} is not in the form of COCO: it lacks the list '{name}'")
        for number, record in enumerate(content[name]):
            if not isinstance(record, dict):
                raise UserError(f"{path}, {name}[{number}]: a record with names was expected, not {record!r}")
    return content


def value_of(record: Mapping[str, Any], name: str, origin: str) -> Any:
    """What a record says under a name.

    Raises:
      UserError: it says nothing; `origin` is file and record.
    """
    if name not in record:
        raise UserError(f"{origin} lacks '{name}'")
    return record[name]


def identity_of(record: Mapping[str, Any], name: str, origin: str) -> int | str:
    """The id that a record has under a name.

    Raises:
      UserError: it is absent, or neither a whole number nor a text; `origin` is file and record.
    """
    value = value_of(record, name, origin)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UserError(f"{origin}: {name} must be a whole number or a text, not {json.dumps(value)}")
    return value


def box_of(record: Mapping[str, Any], origin: str) -> list[float]:
    """Left, top, width and height of an annotation.

    Raises:
      UserError: its bbox is absent or no four numbers; `origin` is file and record.
    """
    box = value_of(record, "bbox", origin)
    if not (isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)):
        raise UserError(f"{origin}: bbox must be [x, y, width, height], not {json.dumps(box)}")
    return box
