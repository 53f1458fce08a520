"""Images with identities: every file layout, roles, and splits by identity."""

import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identities.images import ImageSize
from jaxloss.tasks.data.identities.load import load_identities, source_options
from jaxloss.tasks.data.identities.roles import has_match, with_roles
from jaxloss.tasks.data.identities.source import identified_images, make_identity_source
from jaxloss.tasks.data.identities.split import split_identities, with_held_out_test

OMNIGLOT = pathlib.Path(os.environ.get("JAXLOSS_DATA_DIR", "")) / "omniglot_7alphabets.npz"
OMNIGLOT_KEYS = {"image_key": "images28", "identity_key": "labels", "camera_key": "drawer", "split_key": "split"}

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


def tiny_source(images_per_identity=4, num_identities=10, cameras=True, with_test=True):
    """Every image holds its own number; cameras take turns."""

    def part(first, count):
        numbers = np.arange(first, first + count)
        images = np.broadcast_to(numbers[:, None, None, None], (count, 2, 2, 1)).astype(np.uint8)
        views = numbers % images_per_identity // 2 if cameras else None
        return identified_images(images, 5 + 3 * (numbers // images_per_identity), views, "tiny")

    count = images_per_identity * num_identities
    return make_identity_source("tiny", part(0, count), part(200, 3 * images_per_identity) if with_test else None, "tiny")


def numbers_of(part):
    return part.images[:, 0, 0, 0].tolist()


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


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("marktet:x", {}, "unknown identity source 'marktet:x'. Did you mean 'market:FOLDER'"),
        ("market", {}, "should read 'market:FOLDER'"),
        ("market:nowhere", {}, r"no data folder 'nowhere': .*--config.data_dir or JAXLOSS_DATA_DIR"),
        ("npz:nowhere.npz", {}, "no data file 'nowhere.npz'"),
        ("market:x", {"options": {"camera": "c"}}, "'camera': the source 'market:FOLDER' has none"),
        ("npz:x", {"options": {"image_keys": "c"}}, "Did you mean 'image_key'"),
        ("npz:x", {"options": {"image_key": 3}}, "must be a text, not 3"),
        ("npz:x", {"resampling": "linear"}, "Did you mean 'bilinear'"),
        ("npz:x", {"image_size": (0, 5)}, r"image_size must be \(height, width\) in pixels, not \(0, 5\)"),
    ],
)
def test_sources_that_cannot_be(name, settings, message):
    with pytest.raises(UserError, match=message):
        load_identities(name, **settings)


def test_options_and_their_defaults():
    assert source_options("npz:FILE") == {
        "image_key": "images",
        "identity_key": "identities",
        "camera_key": "cameras",
        "split_key": "split",
    }
    assert source_options("market:FOLDER") == {}


def test_resizing_is_pillows():
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3)).astype(np.uint8)
    resized = ImageSize((4, 5), "bicubic").resize_arrays(images)
    for before, after in zip(images, resized, strict=True):
        np.testing.assert_array_equal(after, Image.fromarray(before).resize((5, 4), Image.Resampling.BICUBIC))
    floats = ImageSize((4, 5), "bicubic").resize_arrays(images.astype(np.float32))
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats.clip(0, 255), resized, atol=1.0)
    assert ImageSize((9, 7)).resize_arrays(images) is images


ARRAYS = {
    "images": np.arange(6, dtype=np.uint8)[:, None, None] + np.zeros((6, 2, 2), np.uint8),
    "identities": np.array([4, 9, 4, 2, 2, -1]),
    "cameras": np.array([0, 1, 2, 0, 1, 1], np.uint8),
    "split": np.array([0, 0, 0, 1, 1, 1]),
}


def test_npz(tmp_path):
    path = tmp_path / "tiny.npz"
    np.savez(path, **ARRAYS)
    source = load_identities(f"npz:{path}")
    assert source.train.images.shape == (3, 2, 2, 1)
    assert source.train.identities.tolist() == [4, 9, 4]
    assert source.train.cameras.tolist() == [0, 1, 2]
    assert source.test.identities.tolist() == [2, 2, -1]
    assert not source.test.has_roles

    everything = {"images": ARRAYS["images"], "labels": ARRAYS["identities"].clip(0)}
    np.savez(path, **everything)
    options = {"identity_key": "labels", "camera_key": "", "split_key": ""}
    source = load_identities(f"npz:{path}", options=options, image_size=(1, 1))
    assert source.test is None
    assert source.train.cameras is None
    assert source.train.viewpoints.tolist() == list(range(6))
    assert source.train.images.ravel().tolist() == list(range(6))

    np.savez(path, **{**ARRAYS, "split": np.array(["train"] * 3 + ["query", "gallery", "gallery"])})
    source = load_identities(f"npz:{path}")
    assert source.test.is_query.tolist() == [True, False, False]
    assert source.test.is_gallery.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cameras": None}, "has no 'cameras'.* source option camera_key, or leave it empty: images, identities, split"),
        ({"identities": None, "identity": np.zeros(6)}, "has no 'identities'. Did you mean 'identity'?.* identity_key: images"),
        ({"split": np.array([0, 0, 0, 1, 1, 2])}, r"\(split\): the split holds '2'; it may hold 0 \(train\) and 1 \(test\)"),
        ({"split": np.array(["train"] * 3 + ["test", "query", "gallery"])}, "test images beside those with roles"),
        ({"split": np.array([0, 0, 0, 1, 1, 0])}, r"1 training images are junk \(identity -1\), the first is number 3"),
        (
            {"split": np.array(["train"] * 3 + ["query"] * 2 + ["train"]), "identities": np.arange(6)},
            "the test set has no gallery",
        ),
        ({"split": np.ones(6, int)}, "there are no training images"),
        ({"split": np.zeros(5)}, r"6 images, but a split of shape \[5\]"),
        (
            {"cameras": np.array([0, 1, 2, -1, -1, 1])},
            "cameras are numbers from 0, but 2 images have another, the first is number 3",
        ),
        ({"identities": np.array([4, 9, 4, 2, 2, -2])}, "identities are numbers from -1, but 1 images .* number 5 with -2"),
        ({"identities": np.zeros(6)}, "identities must be integers"),
        ({"identities": np.zeros(5, int)}, "6 images, but 5 identities"),
    ],
)
def test_npz_that_is_wrong(tmp_path, change, message):
    arrays = {key: value for key, value in {**ARRAYS, **change}.items() if value is not None}
    np.savez(tmp_path / "tiny.npz", **arrays)
    with pytest.raises(UserError, match=message) as error:
        load_identities(f"npz:{tmp_path / 'tiny.npz'}")
    assert "\n" not in str(error.value)


def test_split_by_identity():
    source = tiny_source()
    splits = split_identities(source, 0.8, seed=0)
    train, held_out, test = splits["train"], splits["search_eval"], splits["test"]
    assert (len(train), len(held_out), len(test)) == (32, 8, 12)
    # Nobody is in both, and nothing is lost.
    assert set(numbers_of(train)) | set(numbers_of(held_out)) == set(range(40))
    assert not {number // 4 for number in numbers_of(train)} & {number // 4 for number in numbers_of(held_out)}
    # Numbered anew, one number for one identity; the others keep theirs.
    assert train.num_identities == 8
    assert sorted(set(train.identities)) == list(range(8))
    assert train.identities.dtype == np.int32
    assert len({(number // 4, identity) for number, identity in zip(numbers_of(train), train.identities, strict=True)}) == 8
    assert (held_out.identities == [5 + 3 * (number // 4) for number in numbers_of(held_out)]).all()
    assert held_out.is_query.all()
    assert held_out.is_gallery.all()
    assert test.is_query.all()
    assert not train.has_roles

    again, other = split_identities(source, 0.8, seed=0), split_identities(source, 0.8, seed=1)
    assert numbers_of(again["train"]) == numbers_of(train)
    assert numbers_of(other["train"]) != numbers_of(train)
    assert len(other["train"]) == 32
    assert numbers_of(other["test"]) == numbers_of(test)


def test_train_on_all_and_limits():
    splits = split_identities(tiny_source(), train_on_all=True)
    assert set(splits) == {"train", "test"}
    assert splits["train"].num_identities == 10
    splits = split_identities(tiny_source(), 0.5, train_limit=3, search_eval_limit=2)
    assert [splits[name].num_identities for name in ("train", "search_eval", "test")] == [3, 2, 3]
    assert sorted(set(splits["train"].identities)) == [0, 1, 2]


def test_test_set_by_identity_where_there_is_none():
    source = tiny_source(with_test=False)
    held_out = with_held_out_test(source, 0.3, seed=0)
    assert held_out.train.num_identities == 7
    assert held_out.test.num_identities == 3
    assert not set(held_out.train.identities) & set(held_out.test.identities)
    assert with_held_out_test(tiny_source(), 0.3, seed=0).test.num_identities == 3
    assert split_identities(held_out)["test"].is_query.all()


def test_one_query_per_camera():
    source = tiny_source()  # four images of each identity, two from each of two cameras
    splits = split_identities(source, 0.8, seed=0, queries="one_per_camera")
    for part in (splits["search_eval"], splits["test"]):
        assert (part.is_query != part.is_gallery).all()
        queries = part.take(part.is_query)
        assert len(set(zip(queries.identities.tolist(), queries.cameras.tolist(), strict=True))) == len(queries)
        assert len(queries) == len(part) // 2
        assert has_match(part).all()
    other = split_identities(source, 0.8, seed=4, queries="one_per_camera")
    np.testing.assert_array_equal(other["test"].is_query, splits["test"].is_query)


def test_which_queries_have_a_match():
    identities = np.array([1, 1, 2, 2, 3, -1, 0])
    cameras = np.array([0, 1, 0, 0, 0, 1, 0])
    images = np.zeros((7, 1, 1, 1), np.uint8)
    seen = with_roles(identified_images(images, identities, cameras, "here"), "all", 0, "here")
    assert seen.is_query.tolist() == [True] * 5 + [False, True]
    assert seen.is_gallery.all()
    assert has_match(seen).tolist() == [True, True, False, False, False, False]
    # Without cameras every other image of the identity is a match.
    without = with_roles(identified_images(images, identities, None, "here"), "all", 0, "here")
    assert has_match(without).tolist() == [True, True, True, True, False, False]
    # Junk stays in the gallery.
    junk = identified_images(images[:4], np.array([1, 1, 1, -1]), np.array([0, 0, 1, 1]), "here")
    junk = with_roles(junk, "one_per_camera", 0, "here")
    assert junk.is_query.tolist()[2:] == [True, False]
    assert junk.is_gallery.tolist()[2:] == [False, True]
    # Published roles are kept.
    published = identified_images(images, identities, cameras, "here", np.arange(7) == 0, np.arange(7) > 0)
    assert with_roles(published, "one_per_camera", 0, "here") is published


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        (tiny_source(), {"fraction": 1.0}, "between 0 and 1, not 1.0"),
        (tiny_source(), {"fraction": 0.1}, "1 of 10 identities to train on, 9 for search_eval of 'tiny'"),
        (tiny_source(), {"seed": -1}, "must not be negative"),
        (tiny_source(), {"queries": "one per camera"}, "Did you mean 'one_per_camera'"),
        (tiny_source(), {"train_limit": 1}, "1 identities are too few for the split 'train'"),
        (tiny_source(with_test=False), {}, "'tiny' has no test set"),
        (tiny_source(cameras=False), {"queries": "one_per_camera"}, "needs images with cameras; use 'all'"),
        (tiny_source(2), {}, "no query has a gallery image of the same identity from another camera"),
        (tiny_source(1), {"queries": "one_per_camera"}, "one image per camera, which leaves no gallery; use queries = 'all'"),
    ],
)
def test_splits_that_cannot_be(source, settings, message):
    with pytest.raises(UserError, match=message) as error:
        split_identities(source, **settings)
    assert "\n" not in str(error.value)


def test_tfds_sets(tmp_path):
    """Sets for classification are divided by class; sets with classes of their own in the test set stay as they are."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class LossTinyProducts(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="shared"), tfds.core.BuilderConfig(name="own")]
        code_path = pkg_dir_path = None  # no metadata beside this file

        def _info(self):
            image = tfds.features.Tensor(shape=(None, 4, 3), dtype=np.uint8)
            features = {"image": image, "class_id": tfds.features.ClassLabel(num_classes=8)}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            test = range(8, 16) if self.builder_config.name == "own" else range(8)
            return {"train": self._generate_examples(range(8)), "test": self._generate_examples(test)}

        def _generate_examples(self, numbers):
            for number in numbers:
                yield number, {"image": np.full((3 + number % 2, 4, 3), number, np.uint8), "class_id": number // 2}

    settings = {"data_dir": str(tmp_path), "download": True, "image_size": (2, 2), "options": {"identity_key": "class_id"}}
    own = load_identities(f"tfds:{LossTinyProducts.name}/own", **settings)
    assert sorted(numbers_of(own.train)) == list(range(8))
    np.testing.assert_array_equal(own.test.identities, own.test.images[:, 0, 0, 0] // 2)
    assert own.train.cameras is None
    shared = load_identities(f"tfds:{LossTinyProducts.name}/shared", **settings)
    assert sorted(numbers_of(shared.train)) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert set(shared.test.identities) == {2, 3}
    with pytest.raises(UserError, match=r"has no feature '' .* identity_key: .*class_id"):
        load_identities(f"tfds:{LossTinyProducts.name}/own", **{**settings, "options": {}})


@pytest.mark.skipif(not OMNIGLOT.is_file(), reason="no omniglot_7alphabets.npz in the folder that JAXLOSS_DATA_DIR names")
def test_omniglot():
    source = load_identities("npz:omniglot_7alphabets.npz", options=OMNIGLOT_KEYS)
    assert source.train.images.shape == (3140, 28, 28, 1)
    assert (source.train.num_identities, source.test.num_identities) == (157, 43)
    splits = split_identities(source)
    assert {name: part.num_identities for name, part in splits.items()} == {"train": 126, "search_eval": 31, "test": 43}
    assert [len(splits[name]) for name in ("train", "search_eval", "test")] == [2520, 620, 860]
    # Each drawer drew each character once: the other 19 images are the matches, and one_per_camera leaves no gallery.
    assert has_match(splits["test"]).all()
    with pytest.raises(UserError, match="use queries = 'all'"):
        split_identities(source, queries="one_per_camera")
