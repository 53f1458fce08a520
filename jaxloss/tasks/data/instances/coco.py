"""The annotation files of COCO with the masks of objects."""

from jaxloss.tasks.data.boxes.coco import REFUSE, read_coco
from jaxloss.tasks.data.boxes.source import BoxSource
from jaxloss.tasks.data.instances.segmentation import mask_of
from jaxloss.tasks.data.masks.frame import Frame


def load_coco_instances(
    rest: str,
    data_dir: str | None,
    download: bool,
    frame: Frame,
    streamed: bool,
    images: str = "",
    test: str = "",
    test_images: str = "",
    empty: str = REFUSE,
) -> BoxSource:
    """As `boxes.coco.load_coco`, with the mask of every object: polygons or run lengths.

    Args:
      rest: the file, for example `annotations/instances_train2017.json`.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images, boxes and masks are brought to.
      streamed: leaves training images where they are.
      images: folder of the images; empty for that of the file.
      test: annotation file of the test images; empty where the first file has all there is.
      test_images: their folder; empty for `images`.
      empty: `refuse` boxes without an area and masks without a pixel, which are mistakes as a rule, or `drop` such objects.

    Raises:
      UserError: one line with file and record for what is missing or wrong.
    """
    del download
    return read_coco(rest, data_dir, frame, streamed, images, test, test_images, empty, mask_of)
