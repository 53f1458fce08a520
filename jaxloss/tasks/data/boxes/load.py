"""Names of sources of images with boxes, and what loads them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxloss.tasks.data.boxes.coco import load_coco
from jaxloss.tasks.data.boxes.npz import load_npz
from jaxloss.tasks.data.boxes.source import BoxSource
from jaxloss.tasks.data.boxes.tfds import load_tfds
from jaxloss.tasks.data.boxes.voc import load_voc
from jaxloss.tasks.data.masks.frame import STRETCH, Frame
from jaxloss.tasks.data.named import find_loader

# How the source is written -> `(what stands behind the colon, data_dir, download, frame, streamed, **options) -> BoxSource`. The
# options are the parameters with a default; they are strings.
BOX_SOURCES: Mapping[str, Callable[..., BoxSource]] = {
    "npz:FILE": load_npz,
    "coco:FILE": load_coco,
    "voc:FOLDER": load_voc,
    "tfds:NAME": load_tfds,
}


def load_boxes(
    name: str,
    data_dir: str | None = None,
    image_size: tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    download: bool = False,
    fitting: str = STRETCH,
    padding_pixel: float | Sequence[float] = 0.0,
    streamed: bool = False,
    sources: Mapping[str, Callable[..., BoxSource]] = BOX_SOURCES,
) -> BoxSource:
    """Loads images with boxes by name: `npz:FILE`, `coco:FILE`, `voc:FOLDER` or `tfds:NAME`.

    Args:
      name: the source.
      data_dir: folder of the data, or of the prepared data sets.
      image_size: (height, width) that images and boxes are brought to, or None to leave them as they are.
      options: what only this kind of source has, for example the folder of images; see its loader.
      download: whether a source may fetch what is not there yet.
      fitting: how images are brought to their size, a name in `frame.FITTINGS`.
      padding_pixel: of padding, on the scale of 0 to 1, one number or one per channel.
      streamed: leaves training images in their files.
      sources: how a source is written -> its loader.

    Raises:
      UserError: for an unknown name or option, and for data that are absent or broken.
    """
    loader, rest = find_loader("box source", name, sources, options)
    frame = Frame(None if image_size is None else tuple(image_size), fitting, padding_pixel)
    return loader(rest, data_dir, download, frame, streamed, **(options or {}))
