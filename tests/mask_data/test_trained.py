"""A training on files of images with masks: read ahead or on the device, scaled, cropped and mirrored inside the step."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import LossInputs
from jaxloss.execution.base import Trial
from jaxloss.execution.serial import SerialExecution
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.check import check_task
from jaxloss.tasks.data.image_splits import split_images
from jaxloss.tasks.data.masks.augment import make_mask_augmentation
from jaxloss.tasks.data.masks.load import load_masks
from jaxloss.tasks.data.masks.place import place_masks
from jaxloss.tasks.data.masks.source import VOID
from jaxloss.tasks.data.preprocess import standardise
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.settings import TrainingSettings
from tests.mask_data.layouts import write_folder

CROP_SIZE = (7, 10)
FOCAL = family("focal")


def logits_of(variables, images):
    return standardise(images, 0.5, 0.25) @ variables["params"]["kernel"] + variables["params"]["bias"]


def forward(variables, batch, key):
    """The class of a pixel from its colour."""
    del key
    assert batch["mask"].shape[1:] == CROP_SIZE
    logits = logits_of(variables, batch["image"])
    arrays = {"prediction": jax.nn.softmax(logits), "target": jax.nn.one_hot(batch["mask"], 3), "logits": logits}
    return {"classification": LossInputs.create(arrays, mask=(batch["mask"] != VOID)[..., None])}, variables


def scores(variables, examples):
    right = jnp.argmax(logits_of(variables, examples["image"]), axis=-1) == examples["mask"]
    return {"accuracy": jnp.sum(right) / jnp.sum(examples["mask"] != VOID)}


def make_task(folder, streamed, division=0):
    source = load_masks(f"folder:{folder}", image_size=(10, 14), streamed=streamed)
    splits = split_images(source, (0.6, 0.2, 0.2), division)
    return dataclasses.replace(
        make_fast(FastSettings()),
        init=lambda key: {"params": {"kernel": 0.1 * jax.random.normal(key, (3, 3)), "bias": jnp.zeros(3)}},
        forward=forward,
        scores=scores,
        augment=make_mask_augmentation("scale_crop_flip", {"crop_size": CROP_SIZE, "scales": (0.5, 1.5)}),
        data=place_masks(splits, streamed),
        with_division=functools.partial(make_task, folder, streamed),
        output_samples=None,
    )


def test_files_train_as_arrays_on_the_device(tmp_path):
    write_folder(tmp_path, [f"{number:02}" for number in range(20)])
    outcomes = []
    for streamed in (False, True):
        task = make_task(tmp_path, streamed)
        check_task(task, batch_size=4)
        execution = SerialExecution(task, TrainingSettings(batch_size=4, num_epochs=2), 1, "steps")
        trials = [Trial(FOCAL, FOCAL.encode({"gamma": 2.0}), 0.1, 0, one, SEARCH_EVAL, None, keep_end=True) for one in (0, 1)]
        outcomes.append([outcome for outcome, _ in execution.run(trials)])
        execution.close()
    for expected, found in zip(*outcomes, strict=True):
        assert (found.steps, found.finite, found.scores) == (6, True, expected.scores)
        chex.assert_trees_all_equal(found.end, expected.end)
    first, second = (one.end.state.variables["params"]["kernel"] for one in outcomes[0])
    assert not np.array_equal(first, second)
