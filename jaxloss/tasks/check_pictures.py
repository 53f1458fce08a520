"""What is wrong with the pictures that a task offers to reports, in one line: they are drawn at the end of a run alone."""

from collections.abc import Mapping

import jax
import numpy as np

from jaxloss.core.abstract import is_array, named_errors, outputs, shapes, written
from jaxloss.core.errors import UserError
from jaxloss.core.types import PyTree
from jaxloss.tasks.base import TEST, Task, num_examples
from jaxloss.tasks.pictures import Sheet

_NETWORK = "a network"


def check_pictures(task: Task, variables: PyTree) -> None:
    """Evaluates `Task.pictures.predict` abstractly, and draws outputs of zeros.

    Args:
      task: that may have pictures.
      variables: of its network, as shapes.

    Raises:
      UserError: one line for the first mistake, with what was expected and what came.
    """
    if task.pictures is None:
        return
    examples = task.pictures.choose(task.data[TEST])
    count = num_examples(examples)
    what = f"pictures.predict of the task {task.name}"
    given = outputs(what, task.pictures.predict, variables, shapes(examples))
    if not isinstance(given, Mapping) or not given:
        raise UserError(f"{what} must give {{name: array [{count}, ...]}}, not {written(given)}")
    for name, leaf in given.items():
        # Arrays are kept by NumPy's own names of their dtypes.
        if not is_array(leaf) or leaf.shape[:1] != (count,) or np.dtype(leaf.dtype).kind not in "biuf":
            raise UserError(f"{what} must give arrays [{count}, ...], and {name} is {written(leaf)}")
    zeros = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in given.items()}
    what = f"pictures.draw of the task {task.name}"
    with named_errors(what):
        sheet = task.pictures.draw(jax.device_get(examples), {_NETWORK: zeros})
    check_sheet(what, sheet, count, [_NETWORK])


def check_sheet(what: str, sheet: Sheet, count: int, networks: list[str]) -> None:
    """Looks at what `Pictures.draw` gave.

    Args:
      what: drew it.
      sheet: that it gave.
      count: of the examples.
      networks: names of those that were shown.

    Raises:
      UserError: it is no sheet, lacks the column of a network, or holds something else than pictures.
    """
    if not isinstance(sheet, Sheet) or not isinstance(sheet.columns, Mapping):
        raise UserError(f"{what} must give a Sheet, not {written(sheet)}")
    if missing := [name for name in networks if name not in sheet.columns]:
        raise UserError(f"{what} must give a column for each network, and there is none for {missing[0]}")
    swatches = {f"the swatch of {key.words}": key.swatch[None] for key in sheet.legend}
    for name, pictures in {**sheet.columns, **swatches}.items():
        is_picture = is_array(pictures) and pictures.dtype == np.uint8 and pictures.ndim == 4 and pictures.shape[-1] == 3
        if not is_picture or (name in sheet.columns and len(pictures) != count):
            raise UserError(f"{what} must give pictures uint8[{count}, h, w, 3], and {name} is {written(pictures)}")
