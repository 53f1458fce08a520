"""Trainings of the task: it learns, streamed as on the device, and on two devices as on one."""

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxloss.execution.base import Trial
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN
from jaxloss.tasks.check import check_task, on_division
from jaxloss.tasks.data.stream import StreamedRows
from jaxloss.tasks.settings import TrainingSettings
from tests import pytorch_networks
from tests.compilations import counted
from tests.execution.trainings import make as make_execution
from tests.execution.trainings import needs_devices, outcomes
from tests.segmentation_task.scenes import make, scenes

SETTINGS = TrainingSettings(optimiser="adam", batch_size=4, num_epochs=40)
READS = {"segmentation": ("prediction", "target", "prior")}
CROSS_ENTROPY = family("cross_entropy")


def trained(task, steps, mode="serial", division=0, **options):
    """Outcomes of the same training with several numbers of steps."""
    trials = [Trial(CROSS_ENTROPY, {}, 0.02, 0, division, SEARCH_EVAL, num_steps=one) for one in steps]
    return outcomes(make_execution(mode, task, SETTINGS, **options), trials)


@pytest.fixture(scope="module")
def on_the_device(task):
    return trained(task, (3, None))


def test_a_tiny_network_learns(task, on_the_device):
    untrained = task.scores(jax.jit(task.init)(jax.random.key(0)), task.data[SEARCH_EVAL])
    assert on_the_device[1].score == on_the_device[1].scores["mean_iou"] > untrained["mean_iou"] + 0.3
    assert on_the_device[1].score > on_the_device[0].score + 0.1
    assert all(0 <= value <= 1 for value in on_the_device[1].scores.values())


def test_streamed_images_train_as_those_on_the_device(folder, on_the_device):
    task = make(folder, training_data="streamed")
    assert isinstance(task.data[TRAIN], StreamedRows)
    check_task(task, batch_size=4, reads=READS, num_samples=2)
    (outcome,) = trained(task, (3,), dispatch="steps")
    assert outcome.scores == on_the_device[0].scores


@needs_devices
def test_two_devices_train_and_score_as_one(task, on_the_device):
    (outcome,) = trained(task, (3,), "data_parallel")
    assert outcome.scores == pytest.approx(on_the_device[0].scores, abs=0.003)


def test_a_division_has_other_images_and_its_own_class_frequencies(task):
    other = on_division(task, 1)
    prior, others = (one.data[TRAIN]["prior"][0] for one in (task, other))
    assert not np.allclose(prior, others)
    np.testing.assert_allclose(others.sum(), 1, rtol=1e-6)
    np.testing.assert_array_equal(task.data["test"]["image"], other.data["test"]["image"])


def test_blocks_of_neighbours_stay_together(folder):
    task = make(folder, block=3)
    rows = {image.tobytes() for image in np.asarray(task.data["test"]["image"])}
    images, _ = scenes()
    places = [place for place, image in enumerate(images) if image.tobytes() in rows]
    assert places in ([0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11])


def auxiliary_task(folder, **options):
    small = {"depths": (1, 1, 1, 1), "width": 2, "features": 4, "fine_features": 2, "dropout": 0.0}
    return make(folder, model="deeplabv3plus_resnet50", **{"model_options": small, **options})


def test_a_network_with_an_auxiliary_head_trains_it_on_the_labels(folder):
    """Its loss is the weighted cross-entropy of labels at what is valid, also where candidates learn from edges."""
    task = auxiliary_task(folder, metric="boundary_f1", auxiliary_weight=0.7)
    batch = jax.tree.map(lambda leaf: leaf[:2], task.data[TRAIN])

    random, shapes = np.random.default_rng(0), jax.eval_shape(task.init, jax.random.key(0))
    variables = jax.tree.map(lambda leaf: random.uniform(0.1, 1, leaf.shape).astype(np.float32), shapes)

    @jax.jit
    def branches(batch):
        made, _ = task.forward(variables, batch, jax.random.key(1))
        return made, {name: loss(made[name], None) for name, loss in task.auxiliary_losses.items()}

    made, losses = branches(batch)
    mask = np.asarray(batch["mask"])
    log_p = np.asarray(jax.nn.log_softmax(made["auxiliary"].arrays["logits"]))
    picked = np.take_along_axis(log_p, np.where(mask == 255, 0, mask)[..., None].astype(int), axis=-1)[..., 0]
    assert float(losses["auxiliary"]) == pytest.approx(-0.7 * picked[mask != 255].mean(), rel=1e-5)
    chosen = task.backbone(shapes["params"])
    in_backbone = {name for name, part in chosen.items() if all(jax.tree.leaves(part))}
    assert in_backbone == {f"backbone_stage{stage}" for stage in (1, 2, 3, 4)}
    without = auxiliary_task(folder, auxiliary_weight=0.0)
    assert without.auxiliary_losses == {}
    assert task.details["auxiliary_head"] == 0.7


@pytest.mark.slow
def test_a_backbone_may_come_trained(folder, tmp_path):
    path = tmp_path / "weights.safetensors"
    tensors = pytorch_networks.resnet_state((1, 1, 1, 1), 2)
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)
    tasks = auxiliary_task(folder), auxiliary_task(folder, pretrained=str(path))
    fresh, filled = (jax.jit(task.init)(jax.random.key(0))["params"] for task in tasks)
    kernel = filled["backbone_stage2"]["layer2_0"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, tensors["layer2.0.conv1.weight"].transpose(2, 3, 1, 0))
    heads = [{name: part for name, part in one.items() if not name.startswith("backbone")} for one in (fresh, filled)]
    assert heads[0]
    assert all(map(np.array_equal, *map(jax.tree.leaves, heads)))
    assert (tasks[0].details["pretrained"], tasks[1].details["pretrained"]) == ("no", str(path))


def test_a_network_without_a_backbone_has_none_to_be_trained_otherwise(task):
    assert task.backbone is None
    assert task.auxiliary_losses == {}


def test_random_crops_have_the_size_of_the_training_and_scores_that_of_the_images(folder):
    task = make(folder, augmentation="scale_crop_flip", augmentation_options={"crop_size": (12, 20), "scales": (0.5, 1.5)})
    inputs = check_task(task, batch_size=4, reads=READS, num_samples=2)
    assert inputs["segmentation"].mask.shape == (4, 12, 20, 1)
    assert task.data[SEARCH_EVAL]["mask"].shape[1:] == (24, 32)


def test_a_second_candidate_compiles_nothing(task):
    execution = make_execution("serial", task, SETTINGS)
    focal = family("focal")
    trials = [Trial(focal, focal.encode({"gamma": gamma}), 0.02, 0, 0, SEARCH_EVAL, num_steps=1) for gamma in (1.0, 2.0)]
    list(execution.run(trials[:1]))
    with counted() as compilations:
        list(execution.run(trials[1:]))
    execution.close()
    assert not compilations
