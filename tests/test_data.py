"""Sources of labelled images, and their splits."""

import os
import pathlib

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.load import SOURCES, load_source
from jaxloss.tasks.data.source import labelled_images, make_source
from jaxloss.tasks.data.split import split_source, stratified_order
from tests.errors import one_line

CIFAR = pathlib.Path(os.environ.get("JAXLOSS_DATA_DIR", "")) / "cifar10_subset.npz"


def tiny_source(num_train=60, num_test=0, num_classes=3):
    """Every image holds its own number, so that examples can be followed."""

    def part(first, count):
        numbers = np.arange(first, first + count)
        images = np.broadcast_to(numbers[:, None, None, None], (count, 4, 4, 1)).astype(np.uint8)
        return labelled_images(images, numbers % num_classes, "tiny")

    return make_source("tiny", part(0, num_train), part(100, num_test) if num_test else None)


@pytest.fixture
def npz_file(tmp_path):
    source = tiny_source(12, 6)
    arrays = {
        "train_images": source.train.images,
        "train_labels": source.train.labels.astype(np.uint8),
        "test_images": source.test.images,
        "test_labels": source.test.labels,
        "class_names": np.array(["ant", "bee", "cat"]),
    }
    np.savez(tmp_path / "tiny.npz", **arrays)
    return tmp_path / "tiny.npz", arrays


def test_digits():
    source = load_source("digits")
    assert source.train.images.shape == (1797, 8, 8, 1)
    assert source.test is None
    assert source.num_classes == 10
    assert source.train.images.dtype == np.float32
    assert source.train.images.max() == 1.0
    assert source.train.labels.dtype == np.int32


def test_npz_is_found_in_each_place(npz_file, tmp_path, monkeypatch):
    path, arrays = npz_file
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("JAXLOSS_DATA_DIR", raising=False)
    with pytest.raises(UserError, match=r"data_dir must be the folder of the data file 'a.npz', and '.*tiny.npz' is a file"):
        load_source("npz:a.npz", data_dir=str(path))
    with pytest.raises(UserError, match=r"elsewhere.*--config.data_dir or JAXLOSS_DATA_DIR") as error:
        load_source("npz:tiny.npz")
    assert one_line(error)
    found = [load_source(f"npz:{path}"), load_source("npz:../tiny.npz"), load_source("npz:tiny.npz", data_dir=str(tmp_path))]
    monkeypatch.setenv("JAXLOSS_DATA_DIR", str(tmp_path))
    found.append(load_source("npz:tiny.npz"))
    for source in found:
        np.testing.assert_array_equal(source.train.images, arrays["train_images"])
        np.testing.assert_array_equal(source.test.labels, arrays["test_labels"])
        assert source.class_names == ("ant", "bee", "cat")
        assert source.name == "tiny"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": None}, "lacks train_labels. Expected keys: train_images"),
        ({"test_images": None}, "lacks test_images"),
        ({"train_labels": np.zeros(5, np.int32)}, "12 images, but 5 labels"),
        ({"train_labels": np.zeros(12)}, "labels must be integers"),
        ({"train_labels": np.full(12, 7)}, "labels run from 0 to 7, but there are 3 classes"),
        ({"train_labels": np.full(12, -1)}, "tiny.npz .*labels run from -1 to -1; number the classes from 0"),
        ({"train_labels": np.full(12, 2**32)}, "labels run from 4294967296 to 4294967296; number the classes from 0"),
        (
            {"train_labels": np.arange(12) * 10**8, "class_names": None},
            r"tiny.npz: the largest label is 1100000000, but there are only 12 training images; number the classes from 0",
        ),
        ({"test_labels": np.full(6, 12), "class_names": None}, "the largest label is 12, but there are only 12 training images"),
        ({"train_images": np.zeros((12, 4), np.uint8)}, "images must be uint8 or float"),
        ({"test_images": np.zeros((6, 5, 5, 1), np.uint8)}, "test images uint8"),
        ({"train_images": np.array([None] * 12)}, "cannot be read"),
        ({"train_images": np.full((12, 4, 4, 1), np.nan)}, "12 images hold NaN, infinity or more than float32 does, the first"),
        ({"train_images": np.full((12, 4, 4, 1), 1e300)}, "12 images hold NaN, infinity or more than float32 does, the first"),
    ],
)
def test_npz_that_is_wrong(npz_file, change, message):
    path, arrays = npz_file
    np.savez(path, **{key: value for key, value in {**arrays, **change}.items() if value is not None})
    with pytest.raises(UserError, match=message) as error:
        load_source(f"npz:{path}")
    assert one_line(error)


def test_npz_that_is_damaged(npz_file):
    path, _ = npz_file
    whole = path.read_bytes()
    for content in (b"no archive", whole[: len(whole) // 2], whole[:200] + b"\xff\x00" * 20 + whole[240:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"not a NumPy archive|cannot be read") as error:
            load_source(f"npz:{path}")
        assert one_line(error)


@pytest.mark.parametrize(
    ("name", "message"),
    [("digit", "Did you mean 'digits'"), ("npz", "should read 'npz:FILE'"), ("digits:x", "should read 'digits'")],
)
def test_names_of_sources(name, message):
    with pytest.raises(UserError, match=message):
        load_source(name)
    assert {"digits", "npz:FILE", "tfds:NAME"} <= set(SOURCES)


def test_tfds_mocked(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=4):
        source = load_source("tfds:cifar10", data_dir=str(tmp_path))
    assert source.train.images.shape == (4, 32, 32, 3)
    assert source.train.images.dtype == np.uint8
    assert len(source.test) == 4
    assert source.num_classes == 10


def test_tfds_prepared_on_request(tmp_path):
    """The real path, with files: image tensors can be prepared without TensorFlow, encoded images cannot."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class LossTinyImages(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        code_path = pkg_dir_path = None  # no metadata beside this file

        def _info(self):
            image = tfds.features.Tensor(shape=(4, 4, 1), dtype=np.uint8)
            features = {"image": image, "label": tfds.features.ClassLabel(names=["even", "odd"])}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": self._generate_examples(6)}

        def _generate_examples(self, count):
            for index in range(count):
                yield index, {"image": np.full((4, 4, 1), index, np.uint8), "label": index % 2}

    name = f"tfds:{LossTinyImages.name}"
    with pytest.raises(UserError, match=r"not prepared in .*pip install jaxloss\[tfds\]") as error:
        load_source(name, data_dir=str(tmp_path))
    assert one_line(error)
    load_source(name, data_dir=str(tmp_path), download=True)
    source = load_source(name, data_dir=str(tmp_path))
    np.testing.assert_array_equal(source.train.images[:, 0, 0, 0] % 2, source.train.labels)
    assert sorted(source.train.images[:, 0, 0, 0]) == list(range(6))
    assert source.class_names == ("even", "odd")
    assert source.test is None


def test_tfds_unknown():
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(UserError, match="Did you mean 'cifar10'") as error:
        load_source("tfds:cifar_10")
    assert one_line(error)


@pytest.mark.skipif(not CIFAR.is_file(), reason="no cifar10_subset.npz in the folder that JAXLOSS_DATA_DIR names")
def test_cifar_subset():
    source = load_source("npz:cifar10_subset.npz")
    assert source.train.images.shape == (10000, 32, 32, 3)
    assert source.test.images.shape == (2000, 32, 32, 3)
    splits = split_source(source, (0.8, 0.2, 0.0), 0, (1000, None, None))
    assert [len(split) for split in splits.values()] == [1000, 2000, 2000]
    np.testing.assert_array_equal(np.bincount(splits["train"].labels), 100)
    assert source.class_names[:2] == ("airplane", "automobile")


def test_splits_are_disjoint_stratified_and_follow_the_seed():
    source = tiny_source(60)
    splits = split_source(source, (0.5, 0.2, 0.3), 0)
    numbers = {name: split.images[:, 0, 0, 0] for name, split in splits.items()}
    assert {name: len(rows) for name, rows in numbers.items()} == {"train": 30, "search_eval": 12, "test": 18}
    assert sorted(np.concatenate(list(numbers.values()))) == list(range(60))
    for split in splits.values():
        np.testing.assert_array_equal(np.bincount(split.labels), len(split) // 3)
        np.testing.assert_array_equal(split.images[:, 0, 0, 0] % 3, split.labels)
    again, other = split_source(source, (0.5, 0.2, 0.3), 0), split_source(source, (0.5, 0.2, 0.3), 1)
    np.testing.assert_array_equal(again["train"].images, splits["train"].images)
    assert set(other["train"].images[:, 0, 0, 0]) != set(numbers["train"])
    assert len(other["train"]) == 30


def test_own_test_set_is_kept_and_limits_cut():
    splits = split_source(tiny_source(60, 9), (0.6, 0.2, 0.2), 0, (6, None, 3))
    assert {name: len(split) for name, split in splits.items()} == {"train": 6, "search_eval": 15, "test": 3}
    assert splits["test"].images.min() >= 100
    assert splits["search_eval"].images.max() < 60
    np.testing.assert_array_equal(np.bincount(splits["train"].labels), 2)


def test_stratified_order_with_unequal_classes():
    labels = np.repeat([0, 1, 2], [80, 16, 4])
    order = stratified_order(labels, np.random.default_rng(0))
    assert sorted(order) == list(range(100))
    for quarter in np.split(labels[order], 4):
        np.testing.assert_array_equal(np.bincount(quarter, minlength=3), [20, 4, 1])


@pytest.mark.parametrize(
    ("fractions", "limits", "message"),
    [
        ((0.8, 0.2, 0.0), (None, None, None), "'test' would be empty: 60 images of 'tiny'"),
        ((0.5, 0.2, 0.3), (0, None, None), "'train' would be empty.*at most 0"),
        ((0.5, 0.2), (None, None, None), "fractions must be three"),
        ((0.5, 0.2, 0.4), (None, None, None), "sum to 1"),
        ((float("nan"), 0.2, 0.4), (None, None, None), "sum to 1"),
    ],
)
def test_splits_that_cannot_be(fractions, limits, message):
    with pytest.raises(UserError, match=message) as error:
        split_source(tiny_source(60), fractions, 0, limits)
    assert one_line(error)
