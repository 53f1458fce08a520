"""Names of sources of images with boxes, and what loads them."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.tasks.data.boxes.coco import load_coco
from jaxloss.tasks.data.boxes.npz import load_npz
from jaxloss.tasks.data.boxes.source import BoxSource
from jaxloss.tasks.data.boxes.voc import load_voc
from jaxloss.tasks.data.named import find_loader

# How the source is written -> `(what stands behind the colon, data_dir, image_size, **options) -> BoxSource`. The options are the
# parameters with a default; they are strings.
BOX_SOURCES: Mapping[str, Callable[..., BoxSource]] = {"npz:FILE": load_npz, "coco:FILE": load_coco, "voc:FOLDER": load_voc}


def load_boxes(
    name: str,
    data_dir: str | None = None,
    image_size: tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> BoxSource:
    """Loads images with boxes by name: `npz:FILE`, `coco:FILE` or `voc:FOLDER`.

    Args:
      name: the source.
      data_dir: folder of the data.
      image_size: (height, width) that images and boxes are stretched to, or None to leave them as they are.
      options: what only this kind of source has, for example the folder of images; see its loader.

    Raises:
      UserError: for an unknown name or option, and for data that are absent or broken.
    """
    loader, rest = find_loader("box source", name, BOX_SOURCES, options)
    return loader(rest, data_dir, None if image_size is None else tuple(image_size), **(options or {}))
