"""One step of the real training for each network at its published resolution, on random images: the whole of it, not a model."""

import jax
import numpy as np
import pytest

from jaxloss.systems.autoloss_gms.published import AUTOLOSS_GMS_FORMULAS
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.retrieval import make_retrieval
from jaxloss.tasks.retrieval_settings import RetrievalSettings
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "osnet", "osnet_ibn", "osnet_ain", "mgn"])
def test_one_training_step(name, tmp_path):
    """PK batch, augmentation, cosines, AutoLoss-GMS-A, for MGN the triplet loss beside it; every parameter moves."""
    size = (384 if name == "mgn" else 256, 128)
    random = np.random.default_rng(0)
    images, persons = random.integers(0, 256, (16, *size, 3), dtype=np.uint8), np.repeat(np.arange(8), 2)
    np.savez(tmp_path / "random.npz", images=images, identities=persons, cameras=np.tile([0, 1], 8))
    settings = RetrievalSettings(
        "npz:random.npz",
        image_size=(0, 0),
        source_options={"camera_key": "cameras", "split_key": ""},
        train_fraction=0.6,
        model=name,
        identities_per_batch=2,
        images_per_identity=2,
        augmentation="crop_flip_erase",
        pixel_mean=0.5,
        pixel_deviation=0.25,
        triplet_weight=1.0 if name == "mgn" else 0.0,
    )
    task = make_retrieval(settings, TaskContext(data_dir=str(tmp_path)))
    space = autoloss_gms()
    settings = TrainingSettings(batch_size=4, num_epochs=2, schedule="constant", momentum=0.0)
    training = Training(task, space, settings, dispatch="steps")
    encoded = space.encode(space.parse(AUTOLOSS_GMS_FORMULAS["autoloss_gms_a"]))
    before = training.begin(encoded, jax.random.key(0), task.data[TRAIN])
    variables = jax.tree.map(np.asarray, before.variables)
    after = training.advance(before, encoded, 0.01, task.data[TRAIN], 1)
    assert bool(after.finite)
    assert int(after.step) == 1
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(variables), jax.tree.leaves(after.variables), strict=True):
        assert np.isfinite(new).all(), path
        if path[-1].key != "bias":  # a shift in front of BatchNorm has no gradient
            assert (old != new).any(), path
