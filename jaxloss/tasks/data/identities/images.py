"""Image files and arrays brought to one size, by Pillow."""

import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from jaxloss.core.errors import UserError, unknown
from jaxloss.tasks.data.image_files import opened_image

# Pillow widens each filter by the factor of a reduction, so that reduced images show no moire; only `nearest` does not.
RESAMPLINGS = {name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")}


@dataclasses.dataclass(frozen=True)
class ImageSize:
    """The size that images are brought to.

    Attributes:
      size: (height, width) in pixels, or None to leave the images as they are, which have to be of one size then.
      resampling: name in `RESAMPLINGS`.
    """

    size: tuple[int, int] | None = None
    resampling: str = "bilinear"

    def __post_init__(self):
        if self.resampling not in RESAMPLINGS:
            raise unknown("resampling", self.resampling, RESAMPLINGS)
        if self.size is not None and (len(self.size) != 2 or not all(isinstance(one, int) and one > 0 for one in self.size)):
            raise UserError(f"image_size must be (height, width) in pixels, not {self.size}")

    def read_files(self, paths: Sequence[pathlib.Path]) -> np.ndarray:
        """The images of files in RGB, uint8 `[M, H, W, 3]`; grey ones too.

        Bytes of memory: `M * H * W * 3`. The 36,036 images of Market-1501 at 256 x 128 take 3.3 GiB, at half resolution a
        quarter of that.

        Raises:
          UserError: for a file that cannot be read, and for images of different sizes where `size` is None.
        """

        def read(index: int) -> np.ndarray:
            with opened_image(paths[index]) as image:
                return self._resized(image.convert("RGB"))

        return self.collect(read, len(paths), lambda index: str(paths[index]))

    def resize_arrays(self, images: np.ndarray) -> np.ndarray:
        """Images `[M, H, W, C]`, uint8 or float32, in the wanted size; the type stays."""
        if self.size is None or images.shape[1:3] == tuple(self.size):
            return images
        return self.collect(lambda index: self.resize_array(images[index]), len(images), str)

    def resize_array(self, image: np.ndarray) -> np.ndarray:
        """One image `[H, W, C]`, uint8 or float32, in the wanted size."""
        return np.stack([self._resized(Image.fromarray(channel)) for channel in np.moveaxis(image, -1, 0)], axis=-1)

    def collect(self, read: Callable[[int], np.ndarray], count: int, name_of: Callable[[int], str]) -> np.ndarray:
        """`read` of 0, 1, ... in threads (Pillow decodes and resizes outside Python's lock), in one array made once.

        Args:
          read: gives one image `[H, W, C]`.
          count: `M`, at least 1.
          name_of: names an image, for the error line.

        Raises:
          UserError: for images of different sizes.
        """
        first = read(0)
        images = np.empty((count, *first.shape), first.dtype)

        def put(index: int) -> None:
            image = read(index)
            if image.shape != first.shape:
                raise UserError(
                    f"image {name_of(index)} is {image.shape[0]} x {image.shape[1]}, "
                    f"but {name_of(0)} is {first.shape[0]} x {first.shape[1]}; give an image_size (height, width) for all"
                )
            images[index] = image

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for _ in pool.map(put, range(count)):
                pass
        return images

    def _resized(self, image: Image.Image) -> np.ndarray:
        if self.size is not None:
            image = image.resize((self.size[1], self.size[0]), RESAMPLINGS[self.resampling])
        return np.asarray(image)
