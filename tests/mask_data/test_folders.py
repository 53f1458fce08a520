"""Folders of one's own: layouts, numbers, palettes and colours, and what is wrong with them."""

import numpy as np
import pytest
from PIL import Image

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.load import load_masks
from tests.mask_data.layouts import SIZE, image_of, labels, mask_of, save, shades, write_folder, write_list

COLOURS = {"road": (128, 64, 128), "sky": (0, 0, 250), "marking": (255, 255, 255), "void": (0, 0, 0)}


def test_a_pair_of_folders(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    source = load_masks(f"folder:{tmp_path}")
    assert source.test is None
    assert source.class_names == ("ground", "plant", "house")
    assert source.train.names == ("a", "b", "c")
    arrays = source.train.rows.arrays()
    np.testing.assert_array_equal(arrays["image"], [image_of(shade) for shade in (1, 2, 3)])
    np.testing.assert_array_equal(arrays["mask"], [mask_of(label) for label in (0, 1, 2)])


def test_grey_and_jpeg_images_and_palettes(tmp_path):
    write_folder(tmp_path, ("a",))
    save(tmp_path / "images" / "grey.jpg", np.full(SIZE, 77, np.uint8))
    save(tmp_path / "masks" / "grey.png", mask_of(2), "P")
    save(tmp_path / "images" / "wide.png", image_of(9))
    Image.fromarray(mask_of(1).astype(np.uint16)).save(tmp_path / "masks" / "wide.png")  # 16 bits
    source = load_masks(f"folder:{tmp_path}", options={"classes": "ground, plant, house"})
    assert source.train.names == ("a", "grey", "wide")
    assert (shades(source.train), labels(source.train)) == ([1, 77, 9], [0, 2, 1])
    assert source.train.rows.arrays()["image"].shape == (3, *SIZE, 3)


@pytest.mark.parametrize(
    ("forms", "options"),
    [
        (("images/{}", "masks/{}"), {}),
        (("{}/images", "{}/masks"), {}),
        (("{}", "{}annot"), {"images": "{split}", "masks": "{split}annot"}),
    ],
)
def test_published_splits(tmp_path, forms, options):
    def write(split, first):
        write_folder(tmp_path, (f"{split}1", f"{split}2"), *(form.format(split) for form in forms), first)

    write("train", 10)
    write("val", 20)
    source = load_masks(f"folder:{tmp_path}", options=options)
    assert (shades(source.train), shades(source.test)) == ([10, 11], [20, 21])
    write("test", 30)
    source = load_masks(f"folder:{tmp_path}", options=options)
    assert (shades(source.train), shades(source.test)) == ([10, 11, 20, 21], [30, 31])
    # The test images of a contest have no masks.
    for path in (tmp_path / forms[1].format("test")).iterdir():
        path.unlink()
    (tmp_path / forms[1].format("test")).rmdir()
    source = load_masks(f"folder:{tmp_path}", options=options)
    assert (shades(source.train), shades(source.test)) == ([10, 11], [20, 21])


def coloured_mask(*names):
    return np.stack([np.broadcast_to(np.uint8(COLOURS[name]), (SIZE[1], 3)) for name in names])


def write_coloured(folder):
    save(folder / "images" / "0001.png", image_of(5))
    save(folder / "masks" / "0001_L.png", coloured_mask("road", "sky", "marking", "void", *["road"] * 8))
    return folder


@pytest.mark.parametrize("form", ["own file", "csv", "name first", "option"])
def test_a_table_of_colours(tmp_path, form):
    write_coloured(tmp_path)
    lines = {
        "own file": "# red green blue name\n128 64 128 road\n\n0 0 250 sky\n255 255 255 road\n0 0 0 Void\n",
        "csv": "name,r,g,b\nroad,128,64,128\nsky,0,0,250\nroad,255,255,255\nVoid,0,0,0\n",
        "name first": "road\t128 64 128\nsky\t0 0 250\nroad\t255 255 255\nVoid\t0 0 0\n",
    }
    table = "128 64 128 road; 0 0 250 sky; 255 255 255 road; 0 0 0 void"
    if form in lines:
        (tmp_path / "colours.txt").write_text(lines[form])
        table = "colours.txt"
    source = load_masks(f"folder:{tmp_path}", options={"colours": table, "mask_suffix": "_L"})
    assert source.class_names == ("road", "sky")
    np.testing.assert_array_equal(source.train.rows.arrays()["mask"][0, :, 3], [0, 1, 0, 255, *[0] * 8])


def test_labels_that_do_not_begin_at_0(tmp_path):
    write_folder(tmp_path)
    for number, name in enumerate("abc"):
        save(tmp_path / "masks" / f"{name}.png", mask_of(4 + number, void=0, other=200))
    options = {"labels": "4-6", "void": "0,200"}
    source = load_masks(f"folder:{tmp_path}", options=options)
    np.testing.assert_array_equal(source.train.rows.arrays()["mask"], [mask_of(label, other=255) for label in (0, 1, 2)])
    with pytest.raises(UserError, match=r"masks/a.png holds the label 200, and the labels are 4 to 6, and 0 for void"):
        load_masks(f"folder:{tmp_path}", options={**options, "void": "0"})


def test_masks_of_one_kind_of_object(tmp_path):
    """0 and 255, as many tools write them, or a single bit."""
    write_folder(tmp_path, ("a", "b"))
    mask = mask_of(1, void=0)
    save(tmp_path / "masks" / "a.png", mask * 255)
    save(tmp_path / "masks" / "b.png", mask * 255)
    source = load_masks(f"folder:{tmp_path}", options={"classes": "other,cell", "labels": "0,255", "void": ""})
    np.testing.assert_array_equal(source.train.rows.arrays()["mask"], [mask, mask])
    for name in "ab":
        Image.fromarray(mask.astype(bool)).save(tmp_path / "masks" / f"{name}.png")
    source = load_masks(f"folder:{tmp_path}", options={"classes": "other,cell"})
    np.testing.assert_array_equal(source.train.rows.arrays()["mask"], [mask, mask])


def without_classes(folder):
    (folder / "classes.txt").unlink()


def no_class(folder):
    (folder / "classes.txt").write_text("\n\n")


def class_twice(folder):
    (folder / "classes.txt").write_text("ground\nplant\nground\n")


def image_alone(folder):
    save(folder / "images" / "d.png", image_of(1))


def mask_alone(folder):
    save(folder / "masks" / "d.png", mask_of(1))


def two_of_a_name(folder):
    save(folder / "images" / "a.jpg", image_of(1))


def beyond(folder):
    save(folder / "masks" / "b.png", mask_of(3))


def another_mask_size(folder):
    save(folder / "masks" / "b.png", mask_of(1, (16, 12)))


def another_image_size(folder):
    save(folder / "images" / "b.png", image_of(1, (14, 16)))
    save(folder / "masks" / "b.png", mask_of(1, (14, 16)))


def wide_image(folder):
    Image.fromarray(mask_of(1).astype(np.uint16) * 200).save(folder / "images" / "b.png")


def jpeg_masks(folder):
    for name in "abc":
        (folder / "masks" / f"{name}.png").rename(folder / "masks" / f"{name}.jpg")


def colours_for(text):
    def breaks(folder):
        write_coloured(folder / "coloured")
        return {"images": "coloured/images", "masks": "coloured/masks", "mask_suffix": "_L", "colours": text}

    return breaks


def with_options(**options):
    return lambda folder: options


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (without_classes, r"has no classes.txt \(a name in each line\): add it, or"),
        (no_class, r"classes.txt: the list of classes is empty"),
        (class_twice, r"classes.txt: the list of classes holds 'ground' twice"),
        (image_alone, r"1 of 4 images have no mask in .*masks, the first is .*images/d.png \(d.png\)"),
        (mask_alone, r"1 of 4 masks have no image in .*images, the first is .*masks/d.png"),
        (two_of_a_name, r"images/a.jpg and a.png have the same name"),
        (beyond, r"mask .*masks/b.png holds the label 3, and the labels are 0 to 2, and 255 for void"),
        (another_mask_size, r"mask .*masks/b.png is 16 x 12, but its image .*images/b.png is 12 x 16"),
        (another_image_size, r"image .*images/b.png is 14 x 16, but .*a.png is 12 x 16; give an image_size"),
        (wide_image, r"image .*images/b.png has more than 8 bits for each channel \(I;16\)"),
        (jpeg_masks, r"no images in .*masks \(file names that end in .bmp, .png"),
        (with_options(images="pictures"), r"no folder .*pictures"),
        (with_options(images="{split}"), r"only one of the source options images \({split}\) and masks \(masks\) holds"),
        (with_options(images="{split}", masks="{split}"), r"no folder .* for train, val or test"),
        (with_options(classes=","), r"'classes': the list of classes is empty"),
        (with_options(classes="0"), r"'classes': the list of classes is empty"),
        (with_options(classes="300"), r"'classes': 255 classes; a mask numbers at most 254"),
        (with_options(classes="names.txt"), r"'classes' takes a file .* or a number: 'names.txt'"),
        (with_options(labels="1-2"), r"2 label numbers are given for 3 classes"),
        (with_options(labels="one"), r"'labels' takes label numbers such as 0,255 or 1-150, not 'one'"),
        (with_options(void="2"), r"the label number 2 is given twice"),
        (with_options(colours="red"), r"'colours' takes a file, or colours such as .*: 'red'"),
        (with_options(colours="0 0 0 void"), r"'colours': the list of classes is empty"),
        (with_options(colours="0 0 300 sky"), r"'colours': line 1 is no colour with a class"),
        (with_options(colours="0 0 1 sky; 0 0 1 road"), r"line 2 gives the colour 0 0 1 for the second time"),
        (with_options(colours="0 0 1 sky", classes="2"), r"'classes' is for masks of numbers"),
        (
            colours_for("128 64 128 road; 0 0 250 sky; 0 0 0 void"),
            r"mask .*0001_L.png holds the colour 255 255 255 \(row 2, column 0\), which the table of .* 'colours' lacks",
        ),
    ],
)
def test_folders_that_are_wrong(tmp_path, breaks, message):
    options = breaks(write_folder(tmp_path))
    with pytest.raises(UserError, match=message) as error:
        load_masks(f"folder:{tmp_path}", options=options)
    assert "\n" not in str(error.value)


def test_a_split_of_another_size(tmp_path):
    write_folder(tmp_path, images="train/images", masks="train/masks")
    save(tmp_path / "val" / "images" / "v.png", image_of(1, (14, 16)))
    save(tmp_path / "val" / "masks" / "v.png", mask_of(1, (14, 16)))
    write_list(tmp_path / "classes.txt", "xyz")
    with pytest.raises(UserError, match=r"v.png is 14 x 16, but .*a.png is 12 x 16; give an image_size"):
        load_masks(f"folder:{tmp_path}")
    assert load_masks(f"folder:{tmp_path}", image_size=(6, 8)).test.rows.arrays()["mask"].shape == (1, 6, 8)
