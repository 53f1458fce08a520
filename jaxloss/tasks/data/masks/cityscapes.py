"""The file layout of Cityscapes: street scenes, 1024 x 2048 pixels, 19 classes."""

import pathlib

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.locate import find_folder
from jaxloss.tasks.data.masks.assemble import make_mask_source
from jaxloss.tasks.data.masks.files import file_pair, numbered_masks
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.masks.labels import LabelNumbers
from jaxloss.tasks.data.masks.pairs import Pair
from jaxloss.tasks.data.masks.source import MaskSource
from jaxloss.tasks.data.published_splits import TRAIN, VAL

IMAGES, MASKS = "leftImg8bit", "gtFine"
# Number in `labelIds` by name of the class, in the order of the trainIds; the other numbers are not scored.
CLASSES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
_NUM_LABELS = 34


def load_cityscapes(
    rest: str, data_dir: str | None, download: bool, frame: Frame, streamed: bool, masks: str = MASKS
) -> MaskSource:
    """Reads `leftImg8bit/{train,val}/CITY/*_leftImg8bit.png` with the masks of `gtFine`.

    A mask is `*_gtFine_labelTrainIds.png` where that was made, else `*_gtFine_labelIds.png`, whose 34 numbers become the 19
    classes of the benchmark or void. The 500 images of `val` are the test set; the masks of `test` were never published.

    Args:
      rest: the folder that holds `leftImg8bit` and `gtFine`.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images and masks are brought to.
      streamed: leaves training images in their files; all 2,975 take 25 GB at full size.
      masks: `gtFine` or `gtCoarse`; the masks of `val` are those of `gtFine` in either case.

    Raises:
      UserError: for a folder or a mask that is missing.

    References:
      M. Cordts et al.: The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016.
    """
    del download
    if masks not in (MASKS, "gtCoarse"):
        raise UserError(f"the option 'masks' of cityscapes must be '{MASKS}' or 'gtCoarse', not '{masks}'")
    folder = find_folder(rest, data_dir)
    needed = [f"{IMAGES}/{TRAIN}", f"{IMAGES}/{VAL}", f"{masks}/{TRAIN}", f"{MASKS}/{VAL}"]
    missing = [name for name in needed if not (folder / name).is_dir()]
    if missing:
        raise UserError(f"folder {folder} is not in the layout of Cityscapes: it lacks {', '.join(missing)}")
    others = set(range(_NUM_LABELS)) - set(CLASSES.values())
    # The licence plate has the number -1, which is 255 in a byte.
    of_labels = LabelNumbers.create(len(CLASSES), CLASSES.values(), {*others, 255})
    readers = {"labelTrainIds": numbered_masks(LabelNumbers.create(len(CLASSES))), "labelIds": numbered_masks(of_labels)}
    splits = {
        TRAIN: _pairs(folder / IMAGES / TRAIN, folder / masks / TRAIN, readers),
        VAL: _pairs(folder / IMAGES / VAL, folder / MASKS / VAL, readers),
    }
    return make_mask_source(folder.name, splits, tuple(CLASSES), frame, streamed, str(folder))


def _pairs(images: pathlib.Path, masks: pathlib.Path, readers: dict) -> list[Pair]:
    kind, ending = masks.parent.name, f"_{IMAGES}.png"
    # One listing of each folder: a question for every file takes long on a network.
    there = {str(path.relative_to(masks)) for path in masks.glob("*/*.png")}
    pairs = []
    for image in sorted(images.glob(f"*/*{ending}")):
        name = image.name.removesuffix(ending)
        candidates = {labels: f"{image.parent.name}/{name}_{kind}_{labels}.png" for labels in readers}
        labels = next((labels for labels, mask in candidates.items() if mask in there), None)
        if labels is None:
            raise UserError(f"image {image} has no mask: {masks / candidates['labelIds']} is missing")
        pairs.append(file_pair(image, masks / candidates[labels], readers[labels], name))
    if not pairs:
        raise UserError(f"no images in {images} (CITY/*{ending})")
    return pairs
