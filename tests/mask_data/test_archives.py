"""Archives of arrays, and sets of TFDS."""

import os
import pathlib

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.image_splits import split_images
from jaxloss.tasks.data.masks.load import load_masks
from tests.mask_data.layouts import image_of, labels, mask_of, shades

CAMVID = pathlib.Path(os.environ.get("JAXLOSS_DATA_DIR", "")) / "camvid_240x180_trainval.npz"

ARRAYS = {
    "train_images": np.stack([image_of(shade) for shade in (1, 2, 3)]),
    "train_labels": np.stack([mask_of(label) for label in (0, 1, 2)]),
    "train_names": np.array(["a", "b", "c"]),
    "val_images": np.stack([image_of(shade) for shade in (4, 5)]),
    "val_labels": np.stack([mask_of(label) for label in (2, 1)]),
    "class_names": np.array(["ground", "plant", "house"]),
}


def test_npz(tmp_path):
    path = tmp_path / "tiny.npz"
    np.savez(path, **ARRAYS)
    source = load_masks(f"npz:{path}")
    assert source.class_names == ("ground", "plant", "house")
    assert (source.train.names, source.test.names) == (("a", "b", "c"), ("0", "1"))
    arrays = source.train.rows.arrays()
    np.testing.assert_array_equal(arrays["image"], ARRAYS["train_images"])
    np.testing.assert_array_equal(arrays["mask"], ARRAYS["train_labels"])
    assert arrays["mask"].dtype == np.uint8
    assert (shades(source.test), labels(source.test)) == ([4, 5], [2, 1])


def test_npz_of_other_keys(tmp_path):
    path = tmp_path / "tiny.npz"
    masks = ARRAYS["train_labels"].astype(np.int64) + 1
    masks[masks == 256] = -1
    grey = ARRAYS["train_images"][..., 0]
    np.savez(path, pictures=grey, truth=masks, part=np.array([0, 1, 0]), names=np.array(["a", "b", "c"]))
    options = {"image_key": "pictures", "mask_key": "truth", "split_key": "part", "classes": "3", "labels": "1-3", "void": "-1"}
    source = load_masks(f"npz:{path}", options=options)
    assert source.class_names == ("0", "1", "2")
    assert (source.train.names, source.test.names) == (("a", "c"), ("b",))
    arrays = source.train.rows.arrays()
    np.testing.assert_array_equal(arrays["image"], np.repeat(grey[[0, 2], ..., None], 3, axis=-1))
    np.testing.assert_array_equal(arrays["mask"], ARRAYS["train_labels"][[0, 2]])
    assert len(load_masks(f"npz:{path}", options={**options, "split_key": ""}).train) == 3


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"class_names": None}, {}, "has no 'class_names'.* class_key, or give names or a number with classes: train_images"),
        ({"class_names": np.array([], str)}, {}, r"tiny.npz \(class_names\): the list of classes is empty"),
        ({"train_labels": None}, {}, "has no 'train_labels'.* source option mask_key: train_images"),
        ({"train_images": None, "train_labels": None, "train_names": None}, {}, "there are no training images"),
        (
            {"val_labels": ARRAYS["val_labels"] + 1},
            {},
            r"mask 0 of .*tiny.npz \(val\) holds the label 3, and the labels are 0 to 2",
        ),
        ({"val_labels": ARRAYS["val_labels"] * 1.0}, {}, r"mask 0 of .*tiny.npz \(val\) must hold integers .*, not float64"),
        ({"val_labels": ARRAYS["val_labels"][:, 1:]}, {}, r"mask 0 of .*\(val\) is 11 x 16, but its image .* is 12 x 16"),
        ({"val_labels": ARRAYS["val_labels"][1:]}, {}, "2 images, but 1 masks"),
        ({"train_names": np.array(["a"])}, {}, r"3 images, but names of shape \[1\]"),
        ({"train_images": ARRAYS["train_images"] / 255}, {}, r"\(train_images\): images must be uint8 .*, not float64"),
        ({}, {"image_key": "image"}, "has no 'train_image'. Did you mean 'train_images'"),
        ({}, {"split_key": "part"}, "split_key is for one key of all images"),
    ],
)
def test_npz_that_is_wrong(tmp_path, change, options, message):
    np.savez(tmp_path / "tiny.npz", **{key: value for key, value in {**ARRAYS, **change}.items() if value is not None})
    with pytest.raises(UserError, match=message) as error:
        load_masks(f"npz:{tmp_path / 'tiny.npz'}", options=options)
    assert "\n" not in str(error.value)


def test_tfds_sets(tmp_path):
    """Pets as TFDS has them: images of different sizes, masks of 1 to 3; read without TensorFlow."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class LossTinyPets(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="two"), tfds.core.BuilderConfig(name="three")]
        code_path = pkg_dir_path = None  # no metadata beside this file

        def _info(self):
            features = {
                "image": tfds.features.Tensor(shape=(None, 16, 3), dtype=np.uint8),
                "segmentation_mask": tfds.features.Tensor(shape=(None, 16, 1), dtype=np.uint8),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            splits = {"train": range(3), "test": range(3, 5)}
            return {name: self._generate_examples(numbers) for name, numbers in splits.items()} | (
                {"validation": self._generate_examples(range(5, 7))} if self.builder_config.name == "three" else {}
            )

        def _generate_examples(self, numbers):
            for number in numbers:
                size = (12 + number, 16)
                mask = mask_of(1 + number % 3, size, void=2, other=3)
                yield number, {"image": image_of(number, size), "segmentation_mask": mask[..., None]}

    options = {"classes": "pet,background,border", "labels": "1-3"}
    settings = {"data_dir": str(tmp_path), "download": True, "image_size": (18, 16), "fitting": "pad"}
    source = load_masks(f"tfds:{LossTinyPets.name}/two", options=options, **settings)
    assert source.class_names == ("pet", "background", "border")
    assert sorted(shades(source.train)) == [0, 1, 2]
    assert sorted(shades(source.test)) == [3, 4]
    for image, mask in zip(*(source.train.rows.arrays()[name] for name in ("image", "mask")), strict=True):
        number = int(image[0, 0, 0])
        expected = np.full((18, 16), 255)
        expected[: 12 + number] = mask_of(number % 3, (12 + number, 16), void=1, other=2)
        np.testing.assert_array_equal(mask, expected)
    three = load_masks(f"tfds:{LossTinyPets.name}/three", options=options, **settings)
    assert sorted(shades(three.train)) == [0, 1, 2, 5, 6]
    with pytest.raises(UserError, match=r"does not say what its masks show: .* source option classes"):
        load_masks(f"tfds:{LossTinyPets.name}/two", **settings)
    with pytest.raises(UserError, match=r"no feature 'masks'; .* mask_key: .*segmentation_mask"):
        load_masks(f"tfds:{LossTinyPets.name}/two", options={**options, "mask_key": "masks"}, **settings)
    with pytest.raises(UserError, match=r"mask \d of .* holds the label 3, and the labels are 1 to 2, and 255 for void"):
        load_masks(f"tfds:{LossTinyPets.name}/two", options={"classes": "2", "labels": "1-2"}, **settings)


def test_a_set_of_tfds_that_is_known():
    """Its classes need not be given; the masks of the mock hold any number."""
    tfds = pytest.importorskip("tensorflow_datasets")
    with (
        tfds.testing.mock_data(num_examples=2),
        pytest.raises(
            UserError, match=r"mask 0 of oxford_iiit_pet .* holds the label \d+, and the labels are 1 to 3, and 255 for"
        ),
    ):
        load_masks("tfds:oxford_iiit_pet")


@pytest.mark.skipif(not CAMVID.is_file(), reason=f"no {CAMVID.name} in the folder that JAXLOSS_DATA_DIR names")
def test_camvid():
    source = load_masks(f"npz:{CAMVID.name}", image_size=(90, 120))
    assert source.num_classes == 11
    assert source.class_names[:3] == ("sky", "building", "pole")
    assert (len(source.train), len(source.test)) == (367, 101)
    assert source.train.names[0] == "0001TP_006690"
    arrays = source.train.rows.arrays()
    assert (arrays["image"].shape, arrays["mask"].shape) == ((367, 90, 120, 3), (367, 90, 120))
    # The shares that are stated for the full size; reading a mask at the nearest pixel keeps them, nearly.
    shares = np.bincount(arrays["mask"].ravel(), minlength=256) / arrays["mask"].size
    np.testing.assert_allclose(shares[[3, 1, 0, 255, 2]], [0.315, 0.233, 0.169, 0.039, 0.010], atol=0.004)
    splits = split_images(source, (0.8, 0.2, 0.0), seed=0, block=20)
    assert [len(part) for part in splits.values()] == [294, 73, 101]
    assert splits["test"].names == source.test.names
