"""Folders of images: the layouts of the published sets, and what is wrong with a folder."""

import numpy as np
import pytest
from PIL import Image

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identities.load import load_identities

MARKET = {
    "bounding_box_train/0002_c1s1_000451_03.jpg": 10,
    "bounding_box_train/0002_c2s1_000551_01.jpg": 20,
    "bounding_box_train/0007_c3s3_077419_03.jpg": 30,
    "query/0003_c1s1_000001_00.jpg": 40,
    "bounding_box_test/-1_c1s1_000401_03.jpg": 50,
    "bounding_box_test/0000_c1s1_000151_01.jpg": 60,
    "bounding_box_test/0003_c6s1_000002_01.jpg": 70,
}


def write_images(folder, shades, size=(6, 4)):
    """Images of one grey each, (height, width) pixels."""
    for name, shade in shades.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1], (shade, shade, shade)).save(path)
    return folder


def shades_of(part):
    return part.images.mean(axis=(1, 2, 3)).round().astype(int).tolist()


def test_market_layout(tmp_path):
    folder = write_images(tmp_path / "market", MARKET)
    (folder / "bounding_box_test" / "Thumbs.db").write_bytes(b"no image")
    (folder / "bounding_box_test" / "._0002_c1s1_000451_03.jpg").write_bytes(b"what a Mac leaves on foreign disks")
    write_images(folder, {"gt_bbox/0003_c1s1_000001_00.jpg": 1})
    source = load_identities(f"market:{folder}")
    assert source.name == "market"
    assert source.train.images.shape == (3, 6, 4, 3)
    assert source.train.images.dtype == np.uint8
    assert shades_of(source.train) == [10, 20, 30]
    assert source.train.identities.tolist() == [2, 2, 7]
    assert source.train.cameras.tolist() == [1, 2, 3]
    assert not source.train.has_roles
    # Junk and distractor stay in the gallery as they are.
    assert shades_of(source.test) == [40, 50, 60, 70]
    assert source.test.identities.tolist() == [3, -1, 0, 3]
    assert source.test.cameras.tolist() == [1, 1, 1, 6]
    assert source.test.is_query.tolist() == [True, False, False, False]
    assert source.test.is_gallery.tolist() == [False, True, True, True]
    assert source.test.num_identities == 2
    assert source.train.identities.dtype == source.test.cameras.dtype == np.int32


@pytest.mark.parametrize(
    ("train", "query", "gallery"),
    [
        (("0001_c2_f0046182.jpg", "0009_c8_f0000001.jpg"), "0005_c2_f0046985.jpg", "0005_c5_f0051341.jpg"),  # DukeMTMC-reID
        (("0001_c2_1.png", "0009_c8_10.png"), "0005_c2_1.png", "0005_c5_5.png"),  # CUHK03-NP
    ],
)
def test_data_sets_in_market_layout(tmp_path, train, query, gallery):
    names = {f"bounding_box_train/{name}": 9 for name in train} | {f"query/{query}": 9, f"bounding_box_test/{gallery}": 9}
    write_images(tmp_path / "labeled", names)
    source = load_identities("market:labeled", data_dir=str(tmp_path))
    assert source.train.identities.tolist() == [1, 9]
    assert source.train.cameras.tolist() == [2, 8]
    assert source.test.identities.tolist() == [5, 5]
    assert source.test.cameras.tolist() == [2, 5]
    with pytest.raises(
        UserError, match="lacks bounding_box_train, query, bounding_box_test; name one of the folders in it: labeled"
    ):
        load_identities(f"market:{tmp_path}")


def test_msmt17_layout(tmp_path):
    lists = {
        "train": {"0000/0000_000_01_0303morning_0008_0.jpg": 0, "0001/0001_003_14_0303noon_0030_2.jpg": 1},
        "val": {"0000/0000_002_05_0303morning_0100_0.jpg": 0},
        "query": {"0000/0000_000_02_0302noon_0058_0.jpg": 0},
        "gallery": {"0000/0000_004_03_0302noon_0093_1.jpg": 0, "0001/0001_004_15_0302noon_0093_1.jpg": 1},
    }
    for name, entries in lists.items():
        root = tmp_path / ("train" if name in ("train", "val") else "test")
        write_images(root, {path: 50 + identity for path, identity in entries.items()})
        (tmp_path / f"list_{name}.txt").write_text("".join(f"{path} {identity}\n" for path, identity in entries.items()))
    source = load_identities(f"msmt17:{tmp_path}", image_size=(4, 2))
    assert source.train.identities.tolist() == [0, 1, 0]
    assert source.train.cameras.tolist() == [1, 14, 5]
    assert source.train.images.shape == (3, 4, 2, 3)
    assert shades_of(source.train) == [50, 51, 50]
    assert source.test.identities.tolist() == [0, 0, 1]
    assert source.test.cameras.tolist() == [2, 3, 15]
    assert source.test.is_query.tolist() == [True, False, False]
    assert source.test.is_gallery.tolist() == [False, True, True]
    without = load_identities(f"msmt17:{tmp_path}", options={"validation": "unused"})
    assert without.train.cameras.tolist() == [1, 14]

    (tmp_path / "list_query.txt").write_text("0000/0000_000_02_0302noon_0058_0.jpg\n")
    with pytest.raises(UserError, match=r"1 lines of .*list_query.txt are no path with an identity, the first is line 1"):
        load_identities(f"msmt17:{tmp_path}")
    (tmp_path / "list_query.txt").write_text("0000/0000_000_02_0302noon_0059_0.jpg 0\n")
    with pytest.raises(UserError, match=r"1 of 1 images in .*list_query.txt are missing, the first is .*0059_0.jpg"):
        load_identities(f"msmt17:{tmp_path}")
    (tmp_path / "list_gallery.txt").unlink()
    with pytest.raises(UserError, match=r"MSMT17's layout \(version 1\): it lacks list_gallery.txt"):
        load_identities(f"msmt17:{tmp_path}")


def test_a_folder_for_each_identity(tmp_path):
    write_images(tmp_path, {"plain/ant/1.png": 1, "plain/ant/2.png": 2, "plain/bee/1.png": 3})
    plain = load_identities(f"folder:{tmp_path / 'plain'}")
    assert plain.test is None
    assert plain.train.cameras is None
    assert plain.train.identities.tolist() == [0, 0, 1]
    assert shades_of(plain.train) == [1, 2, 3]

    names = {"train/0002/a_c1.png": 1, "train/0007/b_c2.png": 2}
    roles = {"query/0003/c_c1.png": 3, "gallery/0003/d_c2.png": 4, "gallery/-1/e_c11.png": 5}
    write_images(tmp_path / "roles", names | roles)
    source = load_identities(f"folder:{tmp_path / 'roles'}", options={"camera_pattern": r"_c(\d+)"})
    assert source.train.identities.tolist() == [2, 7]
    assert source.test.identities.tolist() == [3, -1, 3]
    assert source.test.cameras.tolist() == [1, 11, 2]
    assert source.test.is_query.tolist() == [True, False, False]

    write_images(tmp_path / "test", names | {"test/ant/a.png": 3, "test/0002/b.png": 4})
    tested = load_identities(f"folder:{tmp_path / 'test'}")
    assert tested.train.identities.tolist() == [0, 1]
    assert tested.test.identities.tolist() == [0, 2]
    assert not tested.test.has_roles
    with pytest.raises(UserError, match=r"1 of 1 image files in .*0002 have names of another form, the first is b.png"):
        load_identities(f"folder:{tmp_path / 'test'}", options={"camera_pattern": r"_c(\d+)"})
    for pattern, message in (("_c(", "no regular expression"), ("_c", "needs a group"), ("([a-z])", "finds 'a' in")):
        with pytest.raises(UserError, match=message):
            load_identities(f"folder:{tmp_path / 'test'}", options={"camera_pattern": pattern})


def break_name(folder):
    write_images(folder, {"query/person.jpg": 1, "query/0004_s1.jpg": 1})


def break_image(folder):
    (folder / "query" / "0003_c1s1_000001_00.jpg").write_bytes(b"no image")


def empty_gallery(folder):
    for path in (folder / "bounding_box_test").iterdir():
        path.unlink()


def another_size(folder):
    write_images(folder, {"bounding_box_train/0009_c1s1_000001_00.jpg": 1}, size=(8, 4))


def junk_to_train_on(folder):
    write_images(folder, {"bounding_box_train/-1_c1s1_000001_00.jpg": 1})


def junk_query(folder):
    write_images(folder, {"query/-1_c1s1_000001_00.jpg": 1})


def one_identity(folder):
    (folder / "bounding_box_train" / "0007_c3s3_077419_03.jpg").unlink()


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (
            break_name,
            r"2 of 3 image files in .*query have names of another form, the first is 0004_s1.jpg; .*0002_c1s1_000451_03.jpg",
        ),
        (break_image, r"image file .*0003_c1s1_000001_00.jpg cannot be read"),
        (empty_gallery, r"no images in .*bounding_box_test"),
        (another_size, r"0009_c1s1_000001_00.jpg is 8 x 4, but .*_03.jpg is 6 x 4; give an image_size"),
        (junk_to_train_on, r"1 training images are junk \(identity -1\), the first is number 0"),
        (junk_query, r"1 queries are junk \(identity -1\), the first is number 0"),
        (one_identity, "all training images show identity 2"),
    ],
)
def test_market_folder_that_is_wrong(tmp_path, breaks, message):
    breaks(write_images(tmp_path, MARKET))
    with pytest.raises(UserError, match=message) as error:
        load_identities(f"market:{tmp_path}")
    assert "\n" not in str(error.value)
