"""Names of sources of images with the masks of objects, and what loads them."""

from collections.abc import Callable, Mapping

from jaxloss.tasks.data.boxes.source import BoxSource
from jaxloss.tasks.data.instances.coco import load_coco_instances
from jaxloss.tasks.data.instances.npz import load_npz_instances

# As `boxes.load.BOX_SOURCES`; every object of these has a mask.
INSTANCE_SOURCES: Mapping[str, Callable[..., BoxSource]] = {
    "npz:FILE": load_npz_instances,
    "coco:FILE": load_coco_instances,
}
