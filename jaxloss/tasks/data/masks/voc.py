"""The file layout of PASCAL VOC 2012, also with the masks of the Semantic Boundaries Dataset (SBD)."""

import pathlib

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.locate import find_folder
from jaxloss.tasks.data.masks.assemble import make_mask_source
from jaxloss.tasks.data.masks.files import check_listed, file_pair, listed_names, numbered_masks
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.masks.labels import LabelNumbers
from jaxloss.tasks.data.masks.sbd import find_sbd
from jaxloss.tasks.data.masks.source import MaskSource
from jaxloss.tasks.data.published_splits import TRAIN, VAL

IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
# fmt: off
CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on


def load_voc(rest: str, data_dir: str | None, download: bool, frame: Frame, streamed: bool, sbd: str = "") -> MaskSource:
    """Reads `JPEGImages` and `SegmentationClass` as `ImageSets/Segmentation/train.txt` and `val.txt` name them.

    The 1,449 images of `val.txt` are the test set. Masks of VOC have a void border around every object, those of SBD have none;
    where an image has both, that of VOC is taken.

    Args:
      rest: the folder `VOCdevkit/VOC2012`.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images and masks are brought to.
      streamed: leaves training images in their files.
      sbd: where the masks of SBD are, in `rest` or from the working folder: the folder `SegmentationClassAug` of converted ones,
        or `benchmark_RELEASE`, the original. With them there are 10,582 training images (`train_aug`), else 1,464.

    Raises:
      UserError: for a folder, a list or a file that is missing.

    References:
      M. Everingham et al.: The PASCAL Visual Object Classes (VOC) Challenge, IJCV 2010.
      B. Hariharan et al.: Semantic Contours from Inverse Detectors, ICCV 2011 (SBD).
    """
    del download
    folder = find_folder(rest, data_dir)
    missing = [name for name in (IMAGES, MASKS, LISTS) if not (folder / name).is_dir()]
    if missing:
        nested = sorted(str(path.parent.relative_to(folder)) for path in folder.glob(f"*/{MASKS}"))
        hint = f"; name one of the folders in it: {', '.join(nested)}" if nested else ""
        raise UserError(f"folder {folder} is not in the layout of PASCAL VOC: it lacks {', '.join(missing)}{hint}")
    read_mask = numbered_masks(LabelNumbers.create(len(CLASSES)))
    lists = {split: folder / LISTS / f"{split}.txt" for split in (TRAIN, VAL)}
    splits = {}
    for split in lists:
        names = listed_names(lists[split])
        images, masks = (
            [folder / kind / f"{name}{ending}" for name in names] for kind, ending in ((IMAGES, ".jpg"), (MASKS, ".png"))
        )
        check_listed([*images, *masks], str(lists[split]))
        splits[split] = [file_pair(image, mask, read_mask) for image, mask in zip(images, masks, strict=True)]
    if sbd:
        known = {pair.name for pairs in splits.values() for pair in pairs}
        found = find_sbd(_find_in(folder, sbd, data_dir), folder / LISTS, folder / IMAGES)
        splits[TRAIN] += [
            file_pair(one.image, one.mask, one.read_mask or read_mask) for one in found if one.mask.stem not in known
        ]
    return make_mask_source(folder.name, splits, CLASSES, frame, streamed, str(folder))


def _find_in(folder: pathlib.Path, name: str, data_dir: str | None) -> pathlib.Path:
    return folder / name if (folder / name).is_dir() else find_folder(name, data_dir)
