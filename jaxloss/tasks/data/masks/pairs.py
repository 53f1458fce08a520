"""Images with their masks, read one by one when they are asked for."""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.frame import Frame

IMAGE, MASK = "image", "mask"


@dataclasses.dataclass(frozen=True)
class Pair:
    """An image with its mask, neither of them read yet.

    Attributes:
      name: for reports, for example `2007_000032`.
      image: what an error line calls the image: its file, and where in it.
      mask: what an error line calls the mask.
      read: gives the image, uint8 `[H, W, 3]`, and the class of each pixel, uint8 `[H, W]`, 255 where it is void.
    """

    name: str
    image: str
    mask: str
    read: Callable[[], tuple[np.ndarray, np.ndarray]]


class PairRows:
    """Pairs as rows of one size that a stream or an array can be made of: a `stream.RowSource`."""

    def __init__(self, pairs: Sequence[Pair], frame: Frame):
        """`frame` says what size they are brought to."""
        self.pairs, self._frame = tuple(pairs), frame

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        """`image` uint8 `[H, W, 3]` and `mask` uint8 `[H, W]` of one pair.

        Raises:
          UserError: for files that cannot be read, a mask of another size than its image, and pairs of different sizes where the
            frame leaves them as they are.
        """
        image, mask = self._placed(row)
        if image.shape != self._first_shape:
            (height, width), (first_height, first_width) = image.shape[:2], self._first_shape[:2]
            raise UserError(
                f"image {self.pairs[row].image} is {height} x {width}, but {self.pairs[0].image} is "
                f"{first_height} x {first_width}; give an image_size (height, width) for all"
            )
        return {IMAGE: image, MASK: mask}

    def take(self, rows: np.ndarray) -> "PairRows":
        """The pairs at `rows`, int `[n]`, in that order."""
        return PairRows([self.pairs[row] for row in rows], self._frame)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of them, `image` uint8 `[N, H, W, 3]` and `mask` uint8 `[N, H, W]`, read by several threads.

        Bytes of memory: `4 * N * H * W`; the 10,582 training images of PASCAL VOC with SBD take 11.1 GB at 512 x 512.
        """
        shape = self._first_shape
        arrays = {IMAGE: np.empty((len(self), *shape), np.uint8), MASK: np.empty((len(self), *shape[:2]), np.uint8)}

        def put(row: int) -> None:
            for name, array in self[row].items():
                arrays[name][row] = array

        # Pillow decodes and resizes outside Python's lock.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for _ in pool.map(put, range(len(self))):
                pass
        return arrays

    @functools.cached_property
    def _first_shape(self) -> tuple[int, ...]:
        return (*self._frame.size, 3) if self._frame.size is not None else self._placed(0)[0].shape

    def _placed(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        pair = self.pairs[row]
        image, mask = pair.read()
        if image.shape[:2] != mask.shape:
            raise UserError(
                f"mask {pair.mask} is {mask.shape[0]} x {mask.shape[1]}, but its image {pair.image} is "
                f"{image.shape[0]} x {image.shape[1]}"
            )
        return self._frame.place(image, mask, pair.image)
