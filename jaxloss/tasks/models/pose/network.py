"""What networks that find keypoints give: a map for each of them."""

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.models.pretrainable import Pretrainable


class PoseNetwork(Pretrainable):
    """A network `(images [N, H, W, channels], train) -> maps [N, ceil(H / s), ceil(W / s), K]` in float32, `s` its stride.

    With `train` BatchNorm uses the batch and updates `batch_stats`. All networks have the attributes `num_keypoints`, `dtype` and
    `axis_name`: under that name of a device axis, over which a batch is divided, `network.clone(axis_name=...)` normalises by the
    statistics of the whole batch.
    """

    @property
    def stride(self) -> int:
        """Pixels of an image for one of a map."""
        raise NotImplementedError

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
