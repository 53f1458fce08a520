"""What networks that find objects give: classes and a box for every location of a pyramid."""

import dataclasses

import jax

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.pretrainable import Pretrainable


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DetectionOutputs:
    """The outputs of a batch, in float32, level by level from the finest on, each row by row.

    Attributes:
      logits: `[N, L, C]`, one for each class; background is where all are low, or the last class.
      distances: `[N, L, 4]`, above 0, from the location to the left, top, right and bottom side of its box, in strides.
      quality: `[N, L]`, logit of how good the box is.
    """

    logits: Array
    distances: Array
    quality: Array


class PyramidNetwork(Pretrainable):
    """A network with outputs at every location of a pyramid."""

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between neighbouring locations, level by level, the finest first."""
        raise NotImplementedError

    def check_size(self, images: Array) -> None:
        """Looks whether images `[N, H, W, channels]` are large enough.

        Raises:
          UserError: they have not two locations a side on the coarsest level.
        """
        height, width = images.shape[1:3]
        least = self.strides[-1] + 1
        if min(height, width) < least:
            raise UserError(f"{type(self).__name__} needs images of at least {least} x {least} pixels, not {height} x {width}")


class DetectionNetwork(PyramidNetwork):
    """A network `(images [N, H, W, channels], train) -> DetectionOutputs`.

    All networks have the attributes `num_classes`, `background` (whether it is a class more, the last), `dtype` and `axis_name`:
    under that name of a device axis, over which a batch is divided, `network.clone(axis_name=...)` normalises by the statistics
    of the whole batch.
    """
