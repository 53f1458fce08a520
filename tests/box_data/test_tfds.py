"""Sets of TensorFlow Datasets with boxes, read without TensorFlow."""

import io
import json
import pathlib
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from jaxloss.tasks.data.boxes.load import load_boxes
from jaxloss.tasks.detection.splits import place
from tests.errors import user_error

tfds = pytest.importorskip("tensorflow_datasets")
SIZES = [(12, 16), (20, 10), (12, 16), (12, 16), (14, 16)]


class LossTinyBoxes(tfds.core.GeneratorBasedBuilder):
    """Five images of different sizes: of three to train on, the second has no box and the third a difficult one; one is wrong."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in ("right", "wrong", "no_test_boxes")]
    code_path = pkg_dir_path = None  # no metadata beside this file

    def _info(self):
        objects = {
            "bbox": tfds.features.BBoxFeature(),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "is_difficult": np.bool_,
        }
        image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
        features = tfds.features.FeaturesDict({"image": image, "objects": tfds.features.Sequence(objects), "count": np.int64})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, manager):
        splits = {"train": (0, 1, 2), "validation": (3,), "test": (4,)}
        return {name: self._generate_examples(name, numbers) for name, numbers in splits.items()}

    def _generate_examples(self, split, numbers):
        config = self.builder_config.name
        for number in numbers:
            box = tfds.features.BBox(ymin=0.25, xmin=0.125, ymax=0.75, xmax=1.0)
            if config == "wrong" and number == 2:
                box = tfds.features.BBox(ymin=0.25, xmin=0.5, ymax=0.25, xmax=1.0)
            there = number != 1 and not (config == "no_test_boxes" and split == "test")
            objects = [{"bbox": box, "label": number % 2, "is_difficult": number == 2}] * there
            # A file is taken as it is; arrays are encoded by TensorFlow.
            file = io.BytesIO()
            Image.fromarray(np.full((*SIZES[number], 3), 10 * number, np.uint8)).save(file, "png")
            file.seek(0)
            yield number, {"image": file, "objects": objects, "count": len(objects)}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    for config in ("right", "wrong", "no_test_boxes"):
        tfds.builder(f"{LossTinyBoxes.name}/{config}", data_dir=folder, file_format="array_record").download_and_prepare()
    return str(folder)


def load(prepared, config="right", options=None, **rest):
    return load_boxes(f"tfds:{LossTinyBoxes.name}/{config}", prepared, (24, 20), options, **rest)


def by_shade(part):
    """Shade of an image -> its annotation."""
    return {int(image[0, 0, 0]) // 10: one for image, one in zip(part.in_memory().images, part.annotations, strict=True)}


def test_boxes_are_shares_of_their_images(prepared):
    source = load(prepared, fitting="fit")
    assert source.class_names == ("cat", "dog")
    # The set's validation joins what is trained on.
    train = by_shade(source.train)
    assert sorted(train) == [0, 1, 2, 3]
    # 12 x 16 becomes 15 x 20.
    np.testing.assert_allclose(train[0].boxes, [[2.5, 3.75, 20, 11.25]])
    np.testing.assert_array_equal(train[0].content, [0, 0, 20, 15])
    assert train[1].boxes.shape == (0, 4)
    np.testing.assert_array_equal(train[1].content, [0, 0, 12, 24])
    assert (train[2].crowd.tolist(), train[3].crowd.tolist()) == ([True], [False])
    assert (train[2].labels.tolist(), train[3].labels.tolist()) == ([0], [1])
    assert sorted(by_shade(source.test)) == [4]
    assert "tensorflow" not in sys.modules


def test_they_may_be_streamed(prepared):
    device, streamed = (place({"train": load(prepared, streamed=one).train}, 2, one)["train"] for one in (False, True))
    found = streamed.read(np.arange(4))
    for name, array in device.items():
        np.testing.assert_array_equal(found[name], array)


def test_another_split_may_be_tested_on(prepared):
    source = load(prepared, options={"test": "validation"})
    assert sorted(by_shade(source.train)) == [0, 1, 2]
    assert sorted(by_shade(source.test)) == [3]


@pytest.mark.parametrize(
    ("config", "options", "parts"),
    [
        ("wrong", {}, ("of loss_tiny_boxes/wrong (train), object 0", "has no area")),
        ("no_test_boxes", {}, ("no image of the test has a box",)),
        ("right", {"test": "minival"}, ("has no split 'minival'; it has train, validation, test",)),
        ("right", {"image_key": "picture"}, ("no feature 'picture'", "image_key: image, objects, count")),
        ("right", {"objects_key": "count"}, ("no feature 'bbox'", "box_key: none: it is no sequence of objects")),
        ("right", {"label_key": "is_difficult"}, ("the feature 'is_difficult' of 'objects' does not tell a class",)),
        ("right", {"crowd_key": "iscrowd"}, ("no feature 'iscrowd'", "crowd_key")),
        ("right", {"box": "bbox"}, ("Did you mean 'box_key'",)),
    ],
)
def test_mistakes_are_one_line(prepared, config, options, parts):
    with user_error(*parts):
        load(prepared, config, options)


def test_coco_is_read_without_its_code(prepared, tmp_path):
    """The code of coco cannot be imported without TensorFlow: what is prepared says enough. It is tested on its validation."""
    with user_error("tfds data set 'coco/2017' is not prepared in", "needs TensorFlow"):
        load_boxes("tfds:coco/2017", str(tmp_path))
    folder = tmp_path / "coco" / "2017" / "1.1.0"
    shutil.copytree(pathlib.Path(prepared) / LossTinyBoxes.name / "no_test_boxes" / "1.0.0", folder)
    for file in list(folder.iterdir()):
        file.rename(folder / file.name.replace(LossTinyBoxes.name, "coco"))
    about = folder / "dataset_info.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "name": "coco", "configName": "2017", "version": "1.1.0"}))
    source = load_boxes("tfds:coco/2017", str(tmp_path), (24, 20))
    assert sorted(by_shade(source.train)) == [0, 1, 2]
    assert sorted(by_shade(source.test)) == [3]
