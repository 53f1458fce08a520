"""What networks for dense prediction give: logits for every pixel."""

import dataclasses

import jax

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.pretrainable import Pretrainable


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SegmentationLogits:
    """The logits of a batch, in float32 and of the size of its images.

    Attributes:
      main: `[N, H, W, C]`, what predictions are made from.
      auxiliary: `[N, H, W, C]` of a head on earlier feature maps, which a loss may be put on in training; None in evaluation,
        and where the network has none.
    """

    main: Array
    auxiliary: Array | None = None


class SegmentationNetwork(Pretrainable):
    """A network `(images [N, H, W, channels], train) -> SegmentationLogits`, for images of any size from `smallest_image` on.

    With `train` BatchNorm uses the batch and updates `batch_stats`, and dropout draws from the random numbers `dropout`. All
    networks have the attributes `num_classes`, `dtype` and `axis_name`: under that name of a device axis, over which a batch is
    divided, `network.clone(axis_name=...)` normalises by the statistics of the whole batch.
    """

    def smallest_image(self) -> int:
        """Pixels that height and width of an image have to have."""
        raise NotImplementedError

    def check_size(self, images: Array) -> None:
        """Looks whether images `[N, H, W, channels]` are large enough.

        Raises:
          UserError: they are not.
        """
        height, width = images.shape[1:3]
        least = self.smallest_image()
        if min(height, width) < least:
            raise UserError(f"{type(self).__name__} needs images of at least {least} x {least} pixels, not {height} x {width}")
