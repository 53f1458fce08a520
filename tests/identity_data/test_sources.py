"""Sources of images of identities: archives, TFDS, their options and their mistakes."""

import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identities.images import ImageSize
from jaxloss.tasks.data.identities.load import load_identities, source_options
from jaxloss.tasks.data.identities.roles import has_match
from jaxloss.tasks.data.identities.split import split_identities
from tests.identity_data.numbered import numbers_of

OMNIGLOT = pathlib.Path(os.environ.get("JAXLOSS_DATA_DIR", "")) / "omniglot_7alphabets.npz"
OMNIGLOT_KEYS = {"image_key": "images28", "identity_key": "labels", "camera_key": "drawer", "split_key": "split"}


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
