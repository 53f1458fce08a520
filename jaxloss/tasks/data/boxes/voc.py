"""The file layout of PASCAL VOC: an XML file with boxes for every image."""

import functools
import pathlib
from collections.abc import Sequence
from xml.etree import ElementTree

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.boxes.assemble import Record, make_box_source
from jaxloss.tasks.data.boxes.source import Annotation, BoxSource
from jaxloss.tasks.data.class_names import checked_class_names
from jaxloss.tasks.data.image_files import image_size
from jaxloss.tasks.data.locate import find_folder
from jaxloss.tasks.data.masks.files import check_listed, listed_names, read_image
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.published_splits import PUBLISHED_SPLITS, TRAIN

IMAGES, ANNOTATIONS, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
# fmt: off
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


def load_voc(
    rest: str, data_dir: str | None, download: bool, frame: Frame, streamed: bool, classes: str = "", ending: str = ".jpg"
) -> BoxSource:
    """Reads `JPEGImages` and `Annotations` as the lists `train.txt`, `val.txt` and `test.txt` in `ImageSets/Main` name them.

    Only the first has to be there. Without `test.txt`, `val.txt` is the test set. VOC counts pixels from 1, and the last one
    belongs to the box: a box from 1 to 1 is one pixel wide. Objects that are marked as difficult are neither learnt nor scored,
    as in VOC: they are crowds of one.

    Args:
      rest: the folder, for example `VOCdevkit/VOC2012`.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images, and boxes with them, are brought to.
      streamed: leaves training images where they are.
      classes: names of the classes, separated by commas; empty for the twenty of VOC.
      ending: of the image files.

    Raises:
      UserError: one line with file and record for what is missing or wrong.

    References:
      M. Everingham et al.: The PASCAL Visual Object Classes (VOC) Challenge, IJCV 2010.
    """
    del download
    folder = find_folder(rest, data_dir)
    missing = [name for name in (IMAGES, ANNOTATIONS, LISTS) if not (folder / name).is_dir()]
    if missing:
        raise UserError(f"folder {folder} is not in the layout of PASCAL VOC: it lacks {', '.join(missing)}")
    class_names = checked_class_names(classes.split(",") if classes else CLASSES, "the source option classes")
    splits = {}
    for split in PUBLISHED_SPLITS:
        listing = folder / LISTS / f"{split}.txt"
        if split != TRAIN and not listing.is_file():
            continue
        names = listed_names(listing)
        images, annotations = (
            [folder / kind / f"{name}{suffix}" for name in names] for kind, suffix in ((IMAGES, ending), (ANNOTATIONS, ".xml"))
        )
        check_listed([*images, *annotations], str(listing))
        splits[split] = [
            Record(
                image.stem,
                str(image),
                functools.partial(image_size, image),
                functools.partial(read_image, image),
                functools.partial(_annotate, annotation, class_names),
            )
            for image, annotation in zip(images, annotations, strict=True)
        ]
    return make_box_source(folder.name, splits, class_names, frame, streamed, str(folder))


def _annotate(path: pathlib.Path, class_names: Sequence[str], size: tuple[int, int]) -> Annotation:
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(f"{path} is no XML: {str(error).splitlines()[0]}") from error
    if root.tag != "annotation":
        raise UserError(f"{path} is not in the form of PASCAL VOC: it holds '{root.tag}', not 'annotation'")
    said = tuple((root.findtext(f"size/{side}") or str(own)).strip() for side, own in zip(("height", "width"), size, strict=True))
    if said != tuple(map(str, size)):
        raise UserError(f"{path}: the image is {size[0]} x {size[1]}, and not {said[0]} x {said[1]} as the annotation says")
    boxes, labels, crowd, records = [], [], [], []
    for number, one in enumerate(root.findall("object")):
        record = f"{path}, object {number}"
        name = (one.findtext("name") or "").strip()
        if name not in class_names:
            raise UserError(f"{record}: there is no class '{name}'; known are {', '.join(class_names)}")
        try:
            left, top, right, bottom = (float(one.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
        except (TypeError, ValueError) as error:
            raise UserError(f"{record}: its bndbox lacks a number for xmin, ymin, xmax or ymax") from error
        boxes.append((left - 1, top - 1, right, bottom))
        labels.append(class_names.index(name))
        difficult = (one.findtext("difficult") or "0").strip()
        if difficult not in ("0", "1"):
            raise UserError(f"{record}: difficult must be 0 or 1, not '{difficult}'")
        crowd.append(difficult == "1")
        records.append(record)
    return Annotation.create(boxes, labels, crowd, size, records)
