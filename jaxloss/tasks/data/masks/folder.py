"""Any pair of folders, one with images and one with their masks."""

import pathlib

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.locate import find_folder
from jaxloss.tasks.data.masks.assemble import make_mask_source
from jaxloss.tasks.data.masks.colours import parse_colours
from jaxloss.tasks.data.masks.files import MaskReader, coloured_masks, numbered_masks, paired
from jaxloss.tasks.data.masks.frame import Frame
from jaxloss.tasks.data.masks.labels import LabelNumbers, parse_class_names, parse_numbers
from jaxloss.tasks.data.masks.source import MaskSource
from jaxloss.tasks.data.named import is_default
from jaxloss.tasks.data.published_splits import TEST, TRAIN, VAL

CLASSES_FILE = "classes.txt"
_SPLIT = "{split}"
# How the folder of a published split may be called.
_SPLIT_FOLDERS = {TRAIN: ("train", "training"), VAL: ("val", "validation"), TEST: ("test", "testing")}


def load_folder(
    rest: str,
    data_dir: str | None,
    download: bool,
    frame: Frame,
    streamed: bool,
    images: str = "images",
    masks: str = "masks",
    mask_suffix: str = "",
    classes: str = "",
    colours: str = "",
    labels: str = "",
    void: str = "255",
) -> MaskSource:
    """Reads `FOLDER/images/*` with `FOLDER/masks/*`, whose files have the same names but for their endings.

    Splits that were published are folders: `images/train` with `masks/train`, or `train/images` with `train/masks`; `val` and
    `test` likewise, also as `training`, `validation` and `testing`. A `test` without masks, as contests have it, is passed over.
    Images are PNG, JPEG or what else Pillow reads. Masks are PNG, BMP or TIFF: palette or grey images whose pixels are numbers of
    classes, or any whose colours a table explains.

    Args:
      rest: the folder.
      data_dir: a folder to look in.
      download: not used.
      frame: what size images and masks are brought to.
      streamed: leaves training images in their files.
      images: the folder of the images in `rest`; `{split}` in it stands for the published splits.
      masks: the folder of the masks.
      mask_suffix: what follows in the name of a mask, before its ending, such as `_L`.
      classes: names of the classes, see `labels.parse_class_names`; empty for those of `classes.txt`, or of the table of colours.
      colours: the table of colours, see `colours.parse_colours`; empty where masks hold numbers.
      labels: numbers of the classes in the masks, such as `1-150`; empty for 0 and on.
      void: numbers without a class. Masks of a single kind of object often hold 0 and 255, which is no void then: `labels` is
        `0,255` and this empty.

    Raises:
      UserError: for a folder that is missing or empty, files without a partner, and for options of another form.
    """
    del download
    folder = find_folder(rest, data_dir)
    read_mask, class_names = _reader(folder, classes, colours, labels, void)
    splits = {}
    for split, image_folder, mask_folder in _layout(folder, images, masks):
        if split == TEST and not mask_folder.is_dir():
            continue
        splits[split] = paired(image_folder, mask_folder, read_mask, mask_suffix)
    return make_mask_source(folder.name, splits, class_names, frame, streamed, str(folder))


def _reader(folder: pathlib.Path, classes: str, colours: str, labels: str, void: str) -> tuple[MaskReader, tuple[str, ...]]:
    """What reads a mask, and the names of the classes."""
    if colours:
        unused = {"classes": classes, "labels": labels, "void": "" if is_default(load_folder, "void", void) else void}
        for option in (option for option, value in unused.items() if value):
            raise UserError(f"the source option '{option}' is for masks of numbers: the table of colours says it")
        table = parse_colours(colours, folder)
        return coloured_masks(table), table.class_names
    if not classes and not (folder / CLASSES_FILE).is_file():
        raise UserError(
            f"folder {folder} has no {CLASSES_FILE} (a name in each line): add it, or give names or a number with the source "
            "option classes, or a table with colours"
        )
    names = parse_class_names(classes or CLASSES_FILE, folder)
    numbers = parse_numbers(labels, "labels") if labels else None
    return numbered_masks(LabelNumbers.create(len(names), numbers, parse_numbers(void, "void"))), names


def _layout(folder: pathlib.Path, images: str, masks: str) -> list[tuple[str, pathlib.Path, pathlib.Path]]:
    """Published split, folder of its images, folder of its masks."""
    if (_SPLIT in images) != (_SPLIT in masks):
        raise UserError(f"only one of the source options images ({images}) and masks ({masks}) holds {_SPLIT}")
    if _SPLIT in images:
        forms = [(images, masks)]
    else:
        forms = [(f"{images}/{_SPLIT}", f"{masks}/{_SPLIT}"), (f"{_SPLIT}/{images}", f"{_SPLIT}/{masks}")]
    for image_form, mask_form in forms:
        found = [
            (split, folder / image_form.replace(_SPLIT, name), folder / mask_form.replace(_SPLIT, name))
            for split, names in _SPLIT_FOLDERS.items()
            for name in names
            if (folder / image_form.replace(_SPLIT, name)).is_dir()
        ]
        if found:
            return found
    if _SPLIT in images:
        raise UserError(f"no folder {folder / images} for train, val or test")
    return [(TRAIN, folder / images, folder / masks)]
