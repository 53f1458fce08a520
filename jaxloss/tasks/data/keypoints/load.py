"""Names of sources of images with keypoints, and what loads them."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxloss.tasks.data.keypoints.coco import load_coco
from jaxloss.tasks.data.keypoints.npz import load_npz
from jaxloss.tasks.data.keypoints.source import KeypointSource
from jaxloss.tasks.data.named import find_loader

# How the source is written -> `(what stands behind the colon, data_dir, image_size, **options) -> KeypointSource`. The options
# are the parameters with a default; they are strings.
KEYPOINT_SOURCES: Mapping[str, Callable[..., KeypointSource]] = {"npz:FILE": load_npz, "coco:FILE": load_coco}


def load_keypoints(
    name: str,
    data_dir: str | None = None,
    image_size: tuple[int, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> KeypointSource:
    """Loads images with keypoints by name: `npz:FILE` or `coco:FILE`.

    Args:
      name: the source.
      data_dir: folder of the data.
      image_size: (height, width) that images and keypoints are brought to, or None to leave them as they are.
      options: what only this kind of source has, for example the folder of images; see its loader.

    Raises:
      UserError: for an unknown name or option, and for data that are absent or broken.
    """
    loader, rest = find_loader("keypoint source", name, KEYPOINT_SOURCES, options)
    return loader(rest, data_dir, None if image_size is None else tuple(image_size), **(options or {}))
