"""Training on random windows of images: the sizes that follow, and mistakes in its options."""

import jax
import jax.numpy as jnp
import pytest

from tests.detection_task.cells import make
from tests.errors import user_error


def test_a_task_trains_on_windows_and_is_scored_on_whole_images(folder):
    task = make(folder, augmentation="scale_crop_flip", augmentation_options={"crop_size": [24, 28], "scales": (0.8, 1.25)})
    assert task.details["training_size"] == [24, 28]
    assert task.details["num_locations"] == 6 * 7 + 3 * 4
    batch = jax.tree.map(lambda leaf: leaf[:2], dict(task.data["train"]))
    variables = jax.eval_shape(task.init, jax.random.key(0))
    inputs = jax.eval_shape(lambda v, b, k: task.forward(v, task.augment(b, k), k)[0], variables, batch, jax.random.key(0))
    assert inputs["classification"].arrays["logits"].shape == (2, 54, 1, 2)
    found = jax.eval_shape(task.host_metrics.predict, variables, batch)
    assert found["boxes"].shape == (2, 100, 4)
    assert jnp.issubdtype(found["labels"].dtype, jnp.integer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the augmentation 'scale_crop_flip' needs the option crop_size"),
        ({"crop_size": (24, 0)}, "crop_size must be (height, width) in pixels, not (24, 0)"),
        ({"crop_size": (24, 24), "scales": (2.0, 1.0)}, "scales must be the smallest and the largest factor"),
        ({"crop_size": (24, 24), "scale": (1.0, 2.0)}, "Did you mean 'scales'"),
        ({"crop_size": (8, 24)}, "TinyFCOS needs images of at least 9 x 9 pixels, not 8 x 24"),
    ],
)
def test_mistakes_are_one_line(folder, options, message):
    with user_error(message):
        make(folder, augmentation="scale_crop_flip", augmentation_options=options)
