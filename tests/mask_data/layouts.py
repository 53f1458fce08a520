"""Tiny data sets in the layouts of the published ones, whose every image can be told from its first pixel."""

import numpy as np
import scipy.io
from PIL import Image

from jaxloss.tasks.data.masks.voc import CLASSES as VOC_CLASSES

SIZE = (12, 16)


def image_of(shade, size=SIZE):
    """An image whose first pixel is `shade` in all channels; the others run on, another way in each channel."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    steps = np.stack([rows + columns, 2 * rows, 3 * columns], axis=-1)
    return ((shade + steps) % 256).astype(np.uint8)


def mask_of(first, size=SIZE, void=255, other=0):
    """The label `first` at the left, `other` at the right, void in the last row."""
    mask = np.full(size, other, np.uint8)
    mask[:, : size[1] // 2] = first
    mask[-1] = void
    return mask


def save(path, array, mode=None):
    """An image file of an array; mode `P` gives it a palette of colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if mode == "P":
        image.putpalette(np.random.default_rng(0).permutation(256 * 3).astype(np.uint8).tolist())
    image.save(path, quality=100) if path.suffix == ".jpg" else image.save(path)


def write_list(path, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def write_voc(folder, train=("2007_000001", "2007_000002"), val=("2007_000003",), extra=()):
    """PASCAL VOC; the label at the left of a mask is the last digit of its name. `extra` images have no mask."""
    for name in (*train, *val, *extra):
        save(folder / "JPEGImages" / f"{name}.jpg", np.full((*SIZE, 3), 20 * int(name[-1]), np.uint8))
    for name in (*train, *val):
        save(folder / "SegmentationClass" / f"{name}.png", mask_of(int(name[-1])), "P")
    for split, names in (("train", train), ("val", val)):
        write_list(folder / "ImageSets" / "Segmentation" / f"{split}.txt", names)
    return folder


def write_mat(path, mask):
    """A mask in the form of SBD."""
    path.parent.mkdir(parents=True, exist_ok=True)
    present = np.zeros((len(VOC_CLASSES) - 1, 1), np.uint8)
    scipy.io.savemat(path, {"GTcls": {"Segmentation": mask, "CategoriesPresent": present}}, do_compression=True)


def write_cityscapes(folder, train=("aachen_000000_000019", "bochum_000001_000019"), val=("frankfurt_000000_000294",)):
    """Cityscapes, with masks of labelIds: a road (7) at the left, an unlabelled part at the right."""
    for split, names in (("train", train), ("val", val)):
        for number, name in enumerate(names):
            city = name.split("_")[0]
            save(folder / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", image_of(10 + number))
            save(folder / "gtFine" / split / city / f"{name}_gtFine_labelIds.png", mask_of(7, void=0, other=33))
    return folder


def write_folder(folder, names=("a", "b", "c"), images="images", masks="masks", first=1):
    """A pair of folders with three classes."""
    for number, name in enumerate(names):
        save(folder / images / f"{name}.png", image_of(first + number))
        save(folder / masks / f"{name}.png", mask_of(number % 3))
    write_list(folder / "classes.txt", ("ground", "plant", "house"))
    return folder


def shades(part):
    """The first pixel of each image."""
    return part.in_memory().rows.arrays()["image"][:, 0, 0, 0].tolist()


def labels(part):
    """The first label of each mask."""
    return part.in_memory().rows.arrays()["mask"][:, 0, 0].tolist()
