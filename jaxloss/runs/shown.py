"""How an archive keeps what is shown of networks: what they put out, beside their trainings, and the pictures drawn of it.

Pictures are the state `SHEET`:

    {"columns": [{"title": text, "is_loss": bool, "pictures": [URI, ...]}, ...],
     "legend": [{"words": text, "picture": URI}, ...], "note": text, "division": number, "seed": number}

with one picture of each example in every column; `division` and `seed` are those of the trainings.
"""

import base64
import io
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from jaxloss.runs import json_text
from jaxloss.runs.rows import TrainingRow

SHEET = "pictures"

# A picture with more colours is a photograph.
_MOST_COLOURS = 256
_QUALITY = 90


def outputs_name(row: TrainingRow) -> str:
    """The state that holds what the network of a training put out, see `packed`."""
    return f"outputs {json_text.dumps({name: getattr(row, name) for name in TrainingRow.PRIMARY_KEY})}"


def packed(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Arrays of numbers or truth values by name, as JSON values; many equal numbers take little room."""
    return {name: _packed(np.asarray(array)) for name, array in arrays.items()}


def unpacked(values: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The inverse of `packed`."""
    return {name: _unpacked(value) for name, value in values.items()}


def picture_uri(picture: np.ndarray) -> str:
    """A picture, uint8 `[h, w, 3]`, as a page holds it: to the bit where it has few colours, else as a photograph."""
    image, stream = Image.fromarray(picture), io.BytesIO()
    if image.getcolors(_MOST_COLOURS):
        image.convert("P", palette=Image.Palette.ADAPTIVE, colors=_MOST_COLOURS).save(stream, "PNG", optimize=True)
        kind = "png"
    else:
        image.save(stream, "JPEG", quality=_QUALITY)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _packed(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def _unpacked(value: Mapping[str, Any]) -> np.ndarray:
    data = zlib.decompress(base64.b64decode(value["data"]))
    return np.frombuffer(data, value["dtype"]).reshape(value["shape"]).copy()
