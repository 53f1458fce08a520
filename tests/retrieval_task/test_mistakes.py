"""Mistakes in the settings of the retrieval task are one line."""

import pytest

from jaxloss.core.errors import UserError
from tests.retrieval_task.market import make


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "map"}, r"unknown task.retrieval.metric 'map'"),
        ({"metric": "recall_1"}, "recall_1 is for images without cameras; .* rank_1"),
        ({"cosines_to": "class"}, r"Did you mean 'classes'"),
        ({"triplet_weight": 1.0}, "'embedding_cnn' has none"),
        (
            {"cosines_to": "samples", "images_per_identity": 1},
            "cosines_to=samples compares the images of a batch: .* 3 and 1",
        ),
        ({"triplet_weight": 1.0, "identities_per_batch": 1}, "triplet_weight compares the images of a batch: .* not 1 and 2"),
        ({"toy_variable": "angle"}, "toy_variable"),
        ({"pretrained": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"pixel_mean": (0.1, 0.2)}, "pixel_mean takes one number, or one for each of 3 channels"),
        ({"pixel_deviation": ()}, "pixel_deviation takes one number"),
        ({"identities_per_batch": 7}, "identities_per_batch is 7, but there are 6 training identities"),
        ({"augmentation": "crop", "augmentation_options": {"pading": 1}}, "Did you mean 'padding'"),
        ({"augmentation": "crop", "augmentation_options": {"fill": 0.5}}, "unknown option of the augmentation 'crop' 'fill'"),
        ({"augmentation": "crop", "augmentation_options": {"padding": -1}}, "padding of an augmentation"),
        ({"augmentation": "crop_erase", "augmentation_options": {"area": 0.5}}, "task.retrieval.augmentation_options do not fit"),
        ({"model_options": {"features": ("many",)}}, "task.retrieval.model_options do not fit"),
        ({"test_source_options": {"validation": "unused"}}, "test_source_options are of a test_source"),
        ({"augmentation": "crop_erase", "augmentation_options": {"probability": 2}}, "random erasing cannot have probability 2"),
    ],
)
def test_mistakes_are_one_line(market, options, message):
    with pytest.raises(UserError, match=message) as error:
        make(market, **options)
    assert "\n" not in str(error.value)
