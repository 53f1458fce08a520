"""A task whose BatchNorm sees the whole batch: two devices train as one does."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.execution.base import Trial
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN, Task
from jaxloss.tasks.models.network import linen_network
from jaxloss.tasks.models.registry import make_segmentation_model
from jaxloss.tasks.settings import TrainingSettings
from tests.execution.trainings import FOCAL, make, needs_devices, outcomes

CLASSES = 3
SETTINGS = TrainingSettings(batch_size=4, num_epochs=1, learning_rate=0.1)


def pixels_task(model, **options):
    """Pixels to be told apart by their colour; the two halves of a batch are bright and dark, so that their means differ."""
    network = make_segmentation_model(model, CLASSES, options)
    size = network.smallest_image()
    random = np.random.default_rng(0)

    def split():
        labels = random.integers(0, CLASSES, (8, size, size)).astype(np.int32)
        images = np.eye(3, dtype=np.float32)[labels] + 2 * random.normal(size=(8, 1, 1, 3)).astype(np.float32)
        return {"image": images, "label": labels}

    def forward_of(axis_name):
        made = linen_network(network.clone(axis_name=axis_name))

        def forward(variables, batch, key):
            logits, variables = made.train(variables, batch["image"], key)
            target = jax.nn.one_hot(batch["label"], CLASSES)
            arrays = {"prediction": jax.nn.softmax(logits.main), "target": target, "logits": logits.main}
            return {"classification": LossInputs.create(arrays)}, variables

        return forward

    alone = linen_network(network)

    def scores(variables, examples):
        predicted = jnp.argmax(alone.predict(variables, examples["image"]).main, axis=-1)
        return {"accuracy": jnp.mean((predicted == examples["label"]).astype(jnp.float32))}

    return Task(
        name="pixels",
        metric="accuracy",
        offers={"classification": ("prediction", "target", "logits")},
        init=lambda key: alone.init(key, jnp.zeros((1, size, size, 3))),
        forward=forward_of(None),
        forward_over=forward_of,
        scores=scores,
        problems={},
        data={name: split() for name in (TRAIN, SEARCH_EVAL, TEST)},
        with_division=lambda division: pixels_task(model, **options),
        native_convolution=True,
    )


def trained(task, mode):
    (outcome,) = outcomes(
        make(mode, task, SETTINGS), [Trial(FOCAL, FOCAL.encode({"gamma": 1.0}), 0.1, 0, 0, None, keep_end=True)]
    )
    assert outcome.steps == 2
    return outcome.end.variables


NETWORKS = [
    ("light_unet", {"features": (4, 6)}),
    ("pspnet_resnet50", {"depths": (1, 1, 1, 1), "width": 2, "features": 4, "dropout": 0.0, "output_stride": 16}),
]


# A task of images is trained on two devices in the quick tests too, see tests/segmentation_task/test_training.py.
@pytest.mark.slow
@needs_devices
@pytest.mark.parametrize(("model", "options"), NETWORKS)
def test_statistics_and_updates_are_those_of_one_device(model, options):
    task = pixels_task(model, **options)
    one, two, apart = (
        trained(task, "serial"),
        trained(task, "data_parallel"),
        trained(dataclasses.replace(task, forward_over=None), "data_parallel"),
    )
    leaves = [jax.tree.leaves(variables) for variables in (one, two, apart)]
    for expected, got, _ in zip(*leaves, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
    # Of shares on their own it is another training.
    for collection in ("params", "batch_stats"):
        pairs = zip(jax.tree.leaves(one[collection]), jax.tree.leaves(apart[collection]), strict=True)
        assert not all(np.allclose(left, right, rtol=1e-2, atol=1e-3) for left, right in pairs)
