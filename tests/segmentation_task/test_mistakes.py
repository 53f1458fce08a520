"""Mistakes in the settings of the segmentation task, and in its data, are one line."""

import numpy as np
import pytest

from jaxloss.config import wiring
from jaxloss.config.file import load_config
from jaxloss.core.errors import UserError
from jaxloss.spaces.check_fit import check_fit
from tests.segmentation_task.scenes import make, scenes, write


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "miou"}, "unknown task.segmentation.metric 'miou'"),
        ({"void": "skip"}, "unknown task.segmentation.void 'skip'"),
        ({"training_target": "edge"}, "unknown task.segmentation.training_target 'edge'. Did you mean 'edges'"),
        ({"source": "npz:nowhere.npz"}, "nowhere.npz"),
        ({"source": "camvid:x"}, "unknown mask source 'camvid:x'"),
        ({"source_options": {"mask_keys": "x"}}, "Did you mean 'mask_key'"),
        ({"fractions": (0.8, 0.2, 0.0)}, "split 'test' would be empty"),
        ({"fractions": (0.8, 0.2)}, "fractions must be three numbers"),
        ({"image_size": (12, 0)}, "image_size must be .height, width. in pixels"),
        ({"image_size": (2, 4)}, "LightUNet needs images of at least 3 x 3 pixels, not 2 x 4"),
        ({"model": "unet"}, "Did you mean 'light_unet'"),
        ({"model_options": {"feature": (4,)}}, "Did you mean 'features'"),
        ({"model_options": {"features": ("many",)}}, "task.segmentation.model_options do not fit"),
        ({"model_options": {"dtype": "bfloat16"}}, "what the network computes in is task.segmentation.precision"),
        ({"model_options": {"axis_name": "x"}}, "model_options has no axis_name"),
        ({"model_options": {"num_classes": 4}}, "has no option 'num_classes'"),
        ({"pretrained": "nowhere.safetensors"}, "LightUNet has no backbone for pretrained weights"),
        (
            {"model": "pspnet_resnet50", "pretrained": "nowhere.safetensors"},
            "needs images of at least 41 x 41 pixels, not 24 x 32",
        ),
        ({"auxiliary_weight": 0.5}, "auxiliary_weight needs a network with an auxiliary head; 'light_unet' has none here"),
        ({"augmentation": "scale_crop_flip"}, "the augmentation 'scale_crop_flip' needs the option crop_size"),
        ({"augmentation": "scale_crop_flip", "augmentation_options": {"crop": 3}}, "unknown option of the augmentation"),
        ({"augmentation": "scale_crop_flip", "augmentation_options": {"crop_size": (2, 4)}}, "at least 3 x 3 pixels, not 2 x 4"),
        ({"augmentation": "scale_crop_flip", "augmentation_options": {"crop_size": 3}}, "augmentation_options do not fit"),
        ({"pixel_mean": (0.1, 0.2)}, "pixel_mean takes one number, or one for each of 3 channels"),
        ({"pixel_deviation": (0.1, 0.2)}, "pixel_deviation takes one number, or one for each of 3 channels"),
        ({"pixel_mean": 1.5}, "pixel_mean must be from 0 to 1, not 1.5"),
        ({"pixel_deviation": 0.0}, "pixel_deviation must be above 0"),
        ({"rejection_window": (40, 10)}, "rejection_window is a part of 24 x 32 pixels, or .0, 0., not .40, 10."),
        ({"rejection_window": (10,)}, "rejection_window is a part of 24 x 32 pixels"),
        ({"rejection_window": (0, 10)}, "rejection_window is a part of 24 x 32 pixels"),
        ({"tolerance": -1}, "task.segmentation.tolerance must be at least 0"),
    ],
)
def test_mistakes_are_one_line(folder, options, message):
    with pytest.raises(UserError, match=message) as error:
        make(folder, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"class_names": np.array(["thing"])}, "has one class, thing: name what surrounds it|label"),
        ({"labels": scenes()[1][:, :-1]}, "mask .* is 23 x 32, but its image"),
        ({"labels": np.full((12, 24, 32), 255, np.uint8)}, "are void: there is nothing to learn"),
    ],
)
def test_data_that_cannot_be_trained_on(tmp_path, changed, message):
    with pytest.raises(UserError, match=message) as error:
        make(write(tmp_path, **changed))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"task.segmentation.auxiliary_weight": "0.2"}, "a network with a backbone"),
        ({"task.segmentation.pretrained": "x.safetensors"}, "a network with a backbone"),
        ({"task.segmentation.fitting": "pad"}, "another task.segmentation.image_size"),
        ({"task.segmentation.augmentation_options.crop_size": "(8, 8)"}, "another task.segmentation.augmentation than none"),
        ({"task.segmentation.division": "3"}, "comparison.divisions"),
        ({"task.retrieval.metric": "rank_1"}, "task.name=retrieval"),
    ],
)
def test_keys_that_would_do_nothing_are_refused(overrides, message):
    with pytest.raises(UserError, match=message) as error:
        load_config("tests/configs/tiny.py", {"task.name": "segmentation", "mode": "train", **overrides})
    assert "\n" not in str(error.value)


def test_a_space_without_the_branch_is_told_so(folder):
    config = load_config("tests/configs/tiny.py", {"task.name": "segmentation", "data_dir": str(folder)})
    task, space = make(folder), wiring.make_space(config)
    with pytest.raises(UserError, match=r"has a branch 'classification', the task scenes has \['segmentation'\]"):
        check_fit(space, task.name, task.offers, None)
