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

    def place(self, image: np.ndarray, mask: np.ndarray, origin: str) -> tuple[np.ndarray, np.ndarray]:
        """An image uint8 `[h, w, 3]` and its mask uint8 `[h, w]` in the size of the frame.

        Args:
          image: what is scaled bilinearly.
          mask: what is scaled by taking the nearest pixel.
          origin: of the image, for the error line.

        Raises:
          UserError: for an image that is larger than the frame where it may only be padded.
        """
        if self.size is None or mask.shape == self.size:
            return image, mask
        height, width = self.size
        if self.fitting == STRETCH:
            return _scaled(image, mask, height, width)
        if self.fitting == FIT:
            scale = min(height / mask.shape[0], width / mask.shape[1])
            inner = [max(1, round(side * scale)) for side in mask.shape]
            image, mask = _scaled(image, mask, min(height, inner[0]), min(width, inner[1]))
        elif mask.shape[0] > height or mask.shape[1] > width:
            raise UserError(
                f"image {origin} is {mask.shape[0]} x {mask.shape[1]}, larger than image_size {height} x {width}, and "
                f"{PAD} does not scale: use {FIT} or {STRETCH}"
            )
        framed = np.empty((height, width, 3), np.uint8)
        framed[:] = padding_pixel(self.pixel)
        framed_mask = np.full((height, width), VOID, np.uint8)
        framed[: mask.shape[0], : mask.shape[1]] = image
        framed_mask[: mask.shape[0], : mask.shape[1]] = mask
        return framed, framed_mask


def padding_pixel(pixel: float | Sequence[float]) -> np.ndarray:
    """A pixel on the scale of 0 to 1, one number or one for each of three channels, as uint8 `[3]`.

    Raises:
      UserError: for another number of values, or values out of range.
    """
    values = np.asarray(pixel, np.float64)
    if values.size not in (1, 3) or not ((values >= 0) & (values <= 1)).all():
        raise UserError(f"the pixel of a padding takes one number of 0 to 1, or one for each of 3 channels, not {pixel}")
    return np.broadcast_to(np.round(values.ravel() * 255).astype(np.uint8), (3,))


def _scaled(image: np.ndarray, mask: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)),
        np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)),
    )
