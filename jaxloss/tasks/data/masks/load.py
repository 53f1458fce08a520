"""Names of sources of images with masks, and what loads them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxloss.tasks.data.masks.cityscapes import load_cityscapes
from jaxloss.tasks.data.masks.folder import load_folder
from jaxloss.tasks.data.masks.frame import STRETCH, Frame
from jaxloss.tasks.data.masks.npz import load_npz
from jaxloss.tasks.data.masks.source import MaskSource
from jaxloss.tasks.data.masks.tfds import load_tfds
from jaxloss.tasks.data.masks.voc import load_voc
from jaxloss.tasks.data.named import find_loader

# How the source is written -> `(what stands behind the colon, data_dir, download, frame, streamed, **options) -> MaskSource`.
# The options are the parameters with a default; they are strings.
MASK_SOURCES: Mapping[str, Callable[..., MaskSource]] = {
    "npz:FILE": load_npz,
    "voc:FOLDER": load_voc,
    "cityscapes:FOLDER": load_cityscapes,
    "folder:FOLDER": load_folder,
    "tfds:NAME": load_tfds,
}


def load_masks(
    name: str,
    data_dir: str | None = None,
    download: bool = False,
    image_size: tuple[int, int] | None = None,
    fitting: str = STRETCH,
    padding_pixel: float | Sequence[float] = 0.0,
    streamed: bool = False,
    options: Mapping[str, Any] | None = None,
) -> MaskSource:
    """Loads images with masks by name: `npz:FILE`, `voc:FOLDER`, `cityscapes:FOLDER`, `folder:FOLDER` or `tfds:NAME`.

    Args:
      name: the source.
      data_dir: folder of the data, or of the prepared data sets.
      download: whether a source may fetch what is not there yet.
      image_size: (height, width) that images and masks are brought to, or None to leave them as they are.
      fitting: how, a name in `frame.FITTINGS`.
      padding_pixel: of padding, on the scale of 0 to 1, one number or one per channel.
      streamed: leaves training images in their files.
      options: what only this kind of source has, for example the table of colours; see its loader.

    Raises:
      UserError: for an unknown name or option, and for data that are absent or broken.
    """
    loader, rest = find_loader("mask source", name, MASK_SOURCES, options)
    frame = Frame(None if image_size is None else tuple(image_size), fitting, padding_pixel)
    return loader(rest, data_dir, download, frame, streamed, **(options or {}))
