"""The layouts of the published sets, read as they are defined."""

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.masks.cityscapes import CLASSES as CITYSCAPES_CLASSES
from jaxloss.tasks.data.masks.load import load_masks
from tests.mask_data.layouts import SIZE, labels, mask_of, save, shades, write_cityscapes, write_list, write_mat, write_voc

AUGMENTED = ("2008_000004", "2008_000005")


def test_voc(tmp_path):
    source = load_masks(f"voc:{write_voc(tmp_path / 'VOC2012')}")
    assert source.name == "VOC2012"
    assert (source.num_classes, source.class_names[0], source.class_names[-1]) == (21, "background", "tvmonitor")
    assert source.train.names == ("2007_000001", "2007_000002")
    arrays = source.train.rows.arrays()
    assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == {
        "image": ((2, *SIZE, 3), np.uint8),
        "mask": ((2, *SIZE), np.uint8),
    }
    # The numbers of a palette image, and not its colours.
    np.testing.assert_array_equal(arrays["mask"], [mask_of(1), mask_of(2)])
    assert shades(source.train) == [20, 40]
    assert (shades(source.test), labels(source.test)) == ([60], [3])


def test_voc_with_converted_masks_of_sbd(tmp_path):
    write_voc(tmp_path, extra=AUGMENTED)
    for name in (*AUGMENTED, "2007_000001", "2007_000003"):
        save(tmp_path / "SegmentationClassAug" / f"{name}.png", mask_of(9, void=0))
    # Without a list: all but those of VOC, whose own masks have void borders, and never those of the test set.
    source = load_masks(f"voc:{tmp_path}", options={"sbd": "SegmentationClassAug"})
    assert source.train.names == ("2007_000001", "2007_000002", *AUGMENTED)
    assert labels(source.train) == [1, 2, 9, 9]
    assert source.test.names == ("2007_000003",)
    lists = tmp_path / "ImageSets" / "Segmentation"
    line = f"/JPEGImages/{AUGMENTED[1]}.jpg /SegmentationClassAug/{AUGMENTED[1]}.png"
    write_list(lists / "train_aug.txt", [line, "2007_000001"])
    source = load_masks(f"voc:{tmp_path}", options={"sbd": "SegmentationClassAug"})
    assert source.train.names == ("2007_000001", "2007_000002", AUGMENTED[1])
    write_list(lists / "train_aug.txt", ["2008_000009"])
    with pytest.raises(UserError, match=r"2 of 2 files that .*train_aug.txt names are missing, the first is .*2008_000009.jpg"):
        load_masks(f"voc:{tmp_path}", options={"sbd": "SegmentationClassAug"})


def test_voc_with_the_original_sbd(tmp_path):
    write_voc(tmp_path / "voc", extra=AUGMENTED[:1])
    dataset = tmp_path / "benchmark_RELEASE" / "dataset"
    write_list(dataset / "train.txt", ["2007_000003", AUGMENTED[0]])
    write_list(dataset / "val.txt", [AUGMENTED[1]])
    for name in (*AUGMENTED, "2007_000003"):
        write_mat(dataset / "cls" / f"{name}.mat", mask_of(int(name[-1]) + 10, void=0))
    save(dataset / "img" / f"{AUGMENTED[1]}.jpg", np.full((*SIZE, 3), 100, np.uint8))  # VOC lacks this one
    options = {"sbd": str(tmp_path / "benchmark_RELEASE")}
    source = load_masks(f"voc:{tmp_path / 'voc'}", options=options)
    assert source.train.names == ("2007_000001", "2007_000002", *AUGMENTED)
    assert labels(source.train) == [1, 2, 14, 15]
    assert shades(source.train)[2:] == [80, 100]
    assert labels(source.test) == [3]
    write_mat(dataset / "cls" / f"{AUGMENTED[0]}.mat", mask_of(21))
    with pytest.raises(
        UserError, match=r"mask .*2008_000004.mat holds the label 21, and the labels are 0 to 20, and 255 for void"
    ):
        load_masks(f"voc:{tmp_path / 'voc'}", options=options)
    (dataset / "cls" / f"{AUGMENTED[0]}.mat").write_bytes(b"no mask")
    with pytest.raises(UserError, match=r"mask .*2008_000004.mat cannot be read as one of SBD"):
        load_masks(f"voc:{tmp_path / 'voc'}", options=options)
    (dataset / "cls" / f"{AUGMENTED[0]}.mat").unlink()
    with pytest.raises(UserError, match=r"1 of 4 files that .*train.txt names are missing, the first is .*2008_000004.mat"):
        load_masks(f"voc:{tmp_path / 'voc'}", options=options)


def test_cityscapes(tmp_path):
    write_cityscapes(tmp_path)
    every = np.full(SIZE, 255, np.uint8).ravel()
    every[:34] = np.arange(34)
    save(tmp_path / "gtFine" / "train" / "aachen" / "aachen_000000_000019_gtFine_labelIds.png", every.reshape(SIZE))
    source = load_masks(f"cityscapes:{tmp_path}")
    assert source.train.names == ("aachen_000000_000019", "bochum_000001_000019")
    assert source.class_names == tuple(CITYSCAPES_CLASSES)
    first, second = source.train.rows.arrays()["mask"]
    # The published table: labelId of each trainId.
    ids = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    expected = np.full(first.size, 255)
    expected[ids] = range(19)
    np.testing.assert_array_equal(first.ravel(), expected)
    np.testing.assert_array_equal(second, mask_of(0, other=18))
    for name in ("aachen_000000_000019", "bochum_000001_000019"):
        save(tmp_path / "gtCoarse" / "train" / name.split("_")[0] / f"{name}_gtCoarse_labelIds.png", mask_of(26))
    coarse = load_masks(f"cityscapes:{tmp_path}", options={"masks": "gtCoarse"})
    assert (labels(coarse.train), labels(coarse.test)) == ([13, 13], [0])
    # Masks that were made of them come first.
    save(tmp_path / "gtFine" / "val" / "frankfurt" / "frankfurt_000000_000294_gtFine_labelTrainIds.png", mask_of(5))
    assert labels(load_masks(f"cityscapes:{tmp_path}").test) == [5]
    save(tmp_path / "gtFine" / "train" / "aachen" / "aachen_000000_000019_gtFine_labelIds.png", mask_of(34))
    with pytest.raises(
        UserError, match=r"aachen_000000_000019_gtFine_labelIds.png holds the label 34, and the labels are 7 to 8"
    ):
        load_masks(f"cityscapes:{tmp_path}")
    (tmp_path / "gtFine" / "train" / "aachen" / "aachen_000000_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(UserError, match=r"image .*aachen_000000_000019_leftImg8bit.png has no mask: .*labelIds.png is missing"):
        load_masks(f"cityscapes:{tmp_path}")


def no_lists(folder):
    for path in (folder / "ImageSets" / "Segmentation").iterdir():
        path.unlink()


def empty_list(folder):
    write_list(folder / "ImageSets" / "Segmentation" / "val.txt", [])


def listed_but_absent(folder):
    (folder / "SegmentationClass" / "2007_000002.png").unlink()


def another_size(folder):
    save(folder / "SegmentationClass" / "2007_000002.png", mask_of(1, (12, 18)))


def broken_image(folder):
    (folder / "JPEGImages" / "2007_000002.jpg").write_bytes(b"no image")


def cut_short(folder):
    path = folder / "SegmentationClass" / "2007_000003.png"
    path.write_bytes(path.read_bytes()[:60])


def coloured(folder):
    save(folder / "SegmentationClass" / "2007_000001.png", np.zeros((*SIZE, 3), np.uint8))


def beyond(folder):
    save(folder / "SegmentationClass" / "2007_000001.png", mask_of(30))


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (no_lists, r"no list .*train.txt"),
        (empty_list, r"the list .*val.txt is empty"),
        (listed_but_absent, r"1 of 4 files that .*train.txt names are missing, the first is .*2007_000002.png"),
        (another_size, r"mask .*2007_000002.png is 12 x 18, but its image .*2007_000002.jpg is 12 x 16"),
        (broken_image, r"image file .*2007_000002.jpg cannot be read"),
        (cut_short, r"image file .*2007_000003.png cannot be read"),
        (coloured, r"mask .*2007_000001.png is in colour \(RGB\)"),
        (beyond, r"mask .*2007_000001.png holds the label 30, and the labels are 0 to 20, and 255 for void"),
    ],
)
def test_voc_that_is_wrong(tmp_path, breaks, message):
    breaks(write_voc(tmp_path))
    with pytest.raises(UserError, match=message) as error:
        load_masks(f"voc:{tmp_path}")
    assert "\n" not in str(error.value)


def test_folders_of_another_layout(tmp_path):
    write_voc(tmp_path / "VOCdevkit" / "VOC2012")
    with pytest.raises(UserError, match=r"lacks JPEGImages, SegmentationClass, .*; name one of the folders in it: VOC2012"):
        load_masks("voc:VOCdevkit", data_dir=str(tmp_path))
    with pytest.raises(UserError, match=r"layout of Cityscapes: it lacks leftImg8bit/train, leftImg8bit/val, gtFine/train"):
        load_masks(f"cityscapes:{tmp_path}")
    with pytest.raises(UserError, match="no data folder 'nowhere'"):
        load_masks("folder:nowhere")
    with pytest.raises(UserError, match=r"Did you mean 'cityscapes:FOLDER'"):
        load_masks("cityscape:x")
    with pytest.raises(UserError, match=r"option of the source 'voc:FOLDER' 'sdb'. Did you mean 'sbd'"):
        load_masks("voc:x", options={"sdb": "x"})
