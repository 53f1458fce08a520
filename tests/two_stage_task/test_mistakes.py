"""Mistakes in the settings of the task of two stages are one line."""

import pytest

from tests.errors import user_error
from tests.two_stage_task.scenes import make


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "map"}, "unknown task.two_stage_detection.metric 'map'"),
        ({"area_unit": "strides"}, "unknown task.two_stage_detection.area_unit 'strides'"),
        ({"model": "tiny_fcos"}, "unknown task.two_stage_detection.model 'tiny_fcos'"),
        ({"model_options": {"channel": 8}}, "Did you mean 'channels'"),
        ({"model_options": {"dtype": "bfloat16"}}, "what the network computes in is task.two_stage_detection.precision"),
        ({"image_size": (8, 40)}, "TinyFasterRCNN needs images of at least 9 x 9 pixels, not 8 x 40"),
        ({"anchor_scales": ()}, "anchor_scales must have one number at least"),
        ({"anchor_ratios": (1.0, -2.0)}, "task.two_stage_detection.anchor_ratios"),
        ({"rcnn_deviations": (0.1, 0.1)}, "rcnn_deviations must be four numbers, of x, y, width and height"),
        ({"rcnn_deviations": (0.1, 0.1, 0.0, 0.2)}, "rcnn_deviations"),
        ({"rpn_negative_iou": 0.8}, "rpn_negative_iou (0.8) must not be above rpn_positive_iou (0.7)"),
        ({"rpn_samples": 1}, "rpn_samples must be at least 2"),
        ({"fractions": (0.8, 0.2, 0.0)}, "split 'test' would be empty"),
    ],
)
def test_mistakes_are_one_line(folder, options, message):
    with user_error(message):
        make(folder, **options)
