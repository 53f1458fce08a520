"""Masks as pictures: the true ones, and those that a network finds, over the boxes of detection."""

from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.data.boxes.source import VALID
from jaxloss.tasks.data.instances.arrays import NUMBER
from jaxloss.tasks.data.instances.bitmaps import RunLengths, decoded
from jaxloss.tasks.detection.pictures import MOST, TRUTH, draw
from jaxloss.tasks.instance_segmentation.pasting import paste
from jaxloss.tasks.instance_segmentation.stages import FoundMasks
from jaxloss.tasks.pictures import Pictures, Sheet

_MASKS = "masks"
# An archive keeps them: a byte for each cell.
_LARGEST = 255


def make_mask_pictures(
    find: Callable[[PyTree, Mapping[str, Array]], FoundMasks],
    true_masks: Callable[[int], Sequence[RunLengths]],
    class_names: Sequence[str],
    image_size: tuple[int, int],
) -> Pictures:
    """Pictures of objects with their masks.

    Args:
      find: `(variables, examples) -> FoundMasks`, in evaluation mode.
      true_masks: `(number of an image) -> the masks of its objects` in the order of its boxes, in the size of `image_size`.
      class_names: `[C]`.
      image_size: (height, width) of the images.
    """

    def outputs(variables: PyTree, examples: Mapping[str, Array]) -> dict[str, Array]:
        """The surest boxes, float32 `[N, MOST, 4]`, their scores and classes, `[N, MOST]`, and masks, uint8 `[N, MOST, m, m]`."""
        found = find(variables, examples)
        shown = {name: one[:, :MOST] for name, one in found.detections._asdict().items()}
        return {**shown, _MASKS: jnp.round(found.masks[:, :MOST] * _LARGEST).astype(jnp.uint8)}

    def draw_masks(examples: Mapping[str, np.ndarray], networks: Mapping[str, Mapping[str, np.ndarray]]) -> Sheet:
        def mask_of(column: str, row: int, k: int) -> np.ndarray:
            if column == TRUTH:
                # Objects come first in their rows, and what is not valid behind them.
                place = int(np.count_nonzero(examples[VALID][row, :k]))
                return decoded(true_masks(int(examples[NUMBER][row]))[place])
            found = networks[column]
            return paste(found[_MASKS][row, k] / _LARGEST, found["boxes"][row, k], image_size)

        return draw(class_names, examples, networks, mask_of)

    return Pictures(outputs, draw_masks)
