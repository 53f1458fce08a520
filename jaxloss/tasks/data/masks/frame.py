"""Images and masks brought to one size, by Pillow: bilinear for images, nearest for masks."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image

from jaxloss.core.errors import UserError, unknown
from jaxloss.tasks.data.masks.source import VOID

STRETCH, FIT, PAD = "stretch", "fit", "pad"
FITTINGS = (STRETCH, FIT, PAD)


@dataclasses.dataclass(frozen=True)
class Frame:
    """The size that images and masks are brought to, and how.

    Pillow widens the bilinear filter by the factor of a reduction, so that reduced images show no moire.

    Attributes:
      size: (height, width) in pixels, or None to leave them as they are, which have to be of one size then.
      fitting: `stretch` (to the size, whatever that does to their proportions), `fit` (as large as goes into the size,
        proportions kept, then padded) or `pad` (not scaled, padded). Padding is at the bottom and at the right, and void.
      pixel: of the padding, on the scale of 0 to 1, one number or one per channel.
    """

    size: tuple[int, int] | None = None
    fitting: str = STRETCH
    pixel: float | Sequence[float] = 0.0

    def __post_init__(self):
        if self.fitting not in FITTINGS:
            raise unknown("fitting", self.fitting, FITTINGS)
        if self.size is not None and (len(self.size) != 2 or not all(isinstance(one, int) and one > 0 for one in self.size)):
            raise UserError(f"image_size must be (height, width) in pixels, not {self.size}")
        padding_pixel(self.pixel)

    def inner(self, size: tuple[int, int], origin: str) -> tuple[int, int]:
        """(height, width) that an image of this size has in the frame, without padding.

        Args:
          size: (height, width) of the image.
          origin: of the image, for the error line.

        Raises:
          UserError: for an image that is larger than the frame where it may only be padded.
        """
        if self.size is None or size == self.size:
            return size
        height, width = self.size
        if self.fitting == STRETCH:
            return self.size
        if self.fitting == FIT:
            scale = min(height / size[0], width / size[1])
            return min(height, max(1, round(size[0] * scale))), min(width, max(1, round(size[1] * scale)))
        if size[0] > height or size[1] > width:
            raise UserError(
                f"image {origin} is {size[0]} x {size[1]}, larger than image_size {height} x {width}, and "
                f"{PAD} does not scale: use {FIT} or {STRETCH}"
            )
        return size

    def place_image(self, image: np.ndarray, origin: str) -> np.ndarray:
        """An image uint8 `[h, w, 3]` in the size of the frame.

        Raises:
          UserError: see `inner`.
        """
        return self._padded(_scaled(image, self.inner(image.shape[:2], origin), Image.Resampling.BILINEAR), self.pixel_values)

    def place(self, image: np.ndarray, mask: np.ndarray, origin: str) -> tuple[np.ndarray, np.ndarray]:
        """An image uint8 `[h, w, 3]` and its mask uint8 `[h, w]` in the size of the frame.

        Args:
          image: what is scaled bilinearly.
          mask: what is scaled by taking the nearest pixel.
          origin: of the image, for the error line.

        Raises:
          UserError: see `inner`.
        """
        scaled = _scaled(mask, self.inner(mask.shape, origin), Image.Resampling.NEAREST)
        return self.place_image(image, origin), self._padded(scaled, VOID)

    @property
    def pixel_values(self) -> np.ndarray:
        """Of the padding, uint8 `[3]`."""
        return padding_pixel(self.pixel)

    def _padded(self, array: np.ndarray, value: np.ndarray | int) -> np.ndarray:
        if self.size is None or array.shape[:2] == self.size:
            return array
        framed = np.empty((*self.size, *array.shape[2:]), np.uint8)
        framed[:] = value
        framed[: array.shape[0], : array.shape[1]] = array
        return framed


def padding_pixel(pixel: float | Sequence[float]) -> np.ndarray:
    """A pixel on the scale of 0 to 1, one number or one for each of three channels, as uint8 `[3]`.

    Raises:
      UserError: for another number of values, or values out of range.
    """
    values = np.asarray(pixel, np.float64)
    if values.size not in (1, 3) or not ((values >= 0) & (values <= 1)).all():
        raise UserError(f"the pixel of a padding takes one number of 0 to 1, or one for each of 3 channels, not {pixel}")
    return np.broadcast_to(np.round(values.ravel() * 255).astype(np.uint8), (3,))


def _scaled(array: np.ndarray, size: tuple[int, int], resampling: Image.Resampling) -> np.ndarray:
    if array.shape[:2] == size:
        return array
    return np.asarray(Image.fromarray(array).resize(size[::-1], resampling))
