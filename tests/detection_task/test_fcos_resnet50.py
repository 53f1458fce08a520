"""FCOS with ResNet-50: the published size, its pyramid, weights from a file, frozen statistics, and a training step."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxloss.execution.base import Trial
from jaxloss.spaces.families import branch_families
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN
from jaxloss.tasks.detection.locations import Locations
from jaxloss.tasks.models.backbone import network_backbone_mask
from jaxloss.tasks.models.detection.fcos_resnet50 import FCOSResNet50
from jaxloss.tasks.models.detection.pyramid import FeaturePyramid
from jaxloss.tasks.models.layers import Layers
from jaxloss.tasks.models.pretrained import load_pretrained
from jaxloss.tasks.settings import TrainingSettings
from tests import pytorch_networks
from tests.detection_task.cells import make
from tests.errors import user_error
from tests.execution.trainings import make as make_execution
from tests.execution.trainings import outcomes

SMALL = {"depths": (1, 1, 1, 1), "width": 4, "channels": 8, "groups": 4, "depth": 1}
TASK = {"model": "fcos_resnet50", "model_options": SMALL, "image_size": (136, 144), "size_limits": ()}
# Scales and shifts of BatchNorm, which torchvision freezes, and a factor for each of five levels, which it does not have.
BATCH_NORM, FACTORS = 53_120, 5


def shapes_of(network):
    return jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 256, 256, 3)))


def weights(folder, network):
    path = folder / "weights.safetensors"
    tensors = pytorch_networks.resnet_state(network.depths, network.width)
    save_file(tensors, path)
    return path, tensors


@pytest.fixture(scope="module")
def network():
    return FCOSResNet50(2, **SMALL)


@pytest.fixture(scope="module")
def variables(network):
    random = np.random.default_rng(0)

    def filled(path, leaf):
        # Of a network that is untrained, in NumPy: XLA takes seconds to compile the draws.
        name = path[-1].key
        if name == "kernel":
            return random.normal(0, 0.01 if leaf.shape[-1] < 8 else np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape).astype(
                np.float32
            )
        return np.full(leaf.shape, name in ("scale", "var", "level_factors"), np.float32)

    return jax.tree_util.tree_map_with_path(filled, shapes_of(network))


def test_it_has_the_published_size():
    """32,269,600 parameters: torchvision's `fcos_resnet50_fpn` for 91 classes."""
    params = shapes_of(FCOSResNet50(91))["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 32_269_600 + BATCH_NORM + FACTORS
    backbone = {name: part for name, part in params.items() if name.startswith("backbone")}
    assert sum(leaf.size for leaf in jax.tree.leaves(backbone)) == 23_508_032
    norms = [leaf.size for leaf in jax.tree.leaves(backbone) if leaf.ndim == 1]
    assert sum(norms) == BATCH_NORM


def test_outputs_are_those_of_five_levels_of_any_size(network, variables):
    size = (137, 150)
    outputs = jax.jit(network.apply)(variables, jnp.ones((2, *size, 3)))
    assert network.strides == (8, 16, 32, 64, 128)
    assert outputs.logits.shape == (2, len(Locations.create(size, network.strides)), 2)
    assert outputs.distances.shape[1:] == (len(Locations.create(size, network.strides)), 4)
    assert (outputs.distances > 0).all()
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}
    with user_error("FCOSResNet50 needs images of at least 129 x 129 pixels, not 128 x 200"):
        network.check_size(jnp.zeros((1, 128, 200, 3)))


def test_the_pyramid_is_that_of_numpy():
    """P3 to P7 of given maps whose sizes are odd: 1x1, doubled, 3x3, and twice with a stride of 2."""
    random = np.random.default_rng(0)
    stages = [random.normal(size=(2, *size, 3)).astype(np.float32) for size in ((7, 5), (4, 3), (2, 2))]
    found, variables = jax.jit(lambda key: FeaturePyramid(4).init_with_output(key, stages))(jax.random.key(0))

    def convolved(maps, name, stride=1):
        layer = variables["params"][name]
        maps = pytorch_networks.convolve(maps.transpose(0, 3, 1, 2), np.asarray(layer["kernel"]).transpose(3, 2, 0, 1), stride)
        return maps.transpose(0, 2, 3, 1) + layer["bias"]

    five, four, three = (convolved(maps, f"lateral{number}") for number, maps in zip((5, 4, 3), stages[::-1], strict=True))
    four = four + five.repeat(2, axis=1).repeat(2, axis=2)[:, :4, :3]
    three = three + four.repeat(2, axis=1).repeat(2, axis=2)[:, :7, :5]
    wanted = [convolved(three, "level3"), convolved(four, "level4"), convolved(five, "level5")]
    wanted.append(convolved(wanted[-1], "level6", 2))
    wanted.append(convolved(np.maximum(wanted[-1], 0), "level7", 2))
    assert [one.shape[1:3] for one in found] == [(7, 5), (4, 3), (2, 2), (1, 1), (1, 1)]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_weights_of_a_file_reach_the_backbone_and_nothing_else(tmp_path, network, variables):
    path, tensors = weights(tmp_path, network)
    loaded = load_pretrained(variables, network, path)
    images = np.random.default_rng(0).normal(size=(1, 136, 136, 3)).astype(np.float32)
    _, kept = jax.jit(lambda v, i: network.apply(v, i, capture_intermediates=is_stage, mutable=["intermediates"]))(loaded, images)
    expected = pytorch_networks.resnet_stages(images.transpose(0, 3, 1, 2), tensors, network.depths, 32)
    for stage, maps in enumerate(expected, 1):
        found = kept["intermediates"][f"backbone_stage{stage}"]["__call__"][0]
        np.testing.assert_allclose(found, maps.transpose(0, 2, 3, 1), rtol=1e-3, atol=1e-3)
    for name in ("pyramid", "classes", "class_tower0"):
        chex.assert_trees_all_equal(loaded["params"][name], variables["params"][name])


def is_stage(module, _):
    return (module.name or "").startswith("backbone_stage")


def test_frozen_statistics_stay_in_training():
    maps = jax.random.normal(jax.random.key(1), (2, 3, 3, 4))
    for frozen in (False, True):
        norm = Layers(frozen_statistics=frozen).batch_norm(True, "bn")
        variables = norm.init(jax.random.key(0), maps)
        found, updated = norm.apply(variables, maps, mutable=["batch_stats"])
        assert np.array_equal(updated["batch_stats"]["mean"], variables["batch_stats"]["mean"]) == frozen
        assert np.allclose(found, maps, rtol=1e-4) == frozen


@pytest.mark.slow
def test_those_of_the_backbone_can_be_frozen(variables):
    images = jax.random.normal(jax.random.key(1), (2, 136, 136, 3))
    for frozen in (False, True):
        network = FCOSResNet50(2, **SMALL, frozen_statistics=frozen)
        outputs, updated = jax.jit(lambda v, i, n=network: n.apply(v, i, True, mutable=["batch_stats"]))(variables, images)
        pairs = zip(*(jax.tree.leaves(one["batch_stats"]) for one in (variables, updated)), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs) == frozen
        in_test = jax.jit(network.apply)(variables, images)
        assert np.allclose(outputs.distances, in_test.distances, rtol=1e-5, atol=1e-6) == frozen


def test_a_task_with_it(tmp_path, folder, network):
    path, _ = weights(tmp_path, network)
    options = {**TASK, "model_options": {**SMALL, "frozen_statistics": True}}
    task = make(folder, **options, pretrained=str(path))
    variables = jax.eval_shape(task.init, jax.random.key(0))
    mask = task.backbone(variables["params"])
    assert mask == network_backbone_mask(variables["params"])
    assert any(jax.tree.leaves(mask))
    assert task.details["pretrained"] == str(path)
    assert task.native_convolution
    with user_error("task.detection.model_options.frozen_statistics needs the weights that they belong to"):
        make(folder, **options)
    with user_error("there is no file 'nowhere.safetensors' with pretrained weights"):
        make(folder, **TASK, pretrained="nowhere.safetensors")
    with user_error("TinyFCOS has no backbone for pretrained weights"):
        make(folder, pretrained=str(path))


@pytest.mark.slow
@pytest.mark.parametrize("assignment", ["fcos", "atss"])
def test_a_small_one_learns(folder, assignment):
    task = make(folder, **TASK, assignment=assignment)
    loss = branch_families("classification: sigmoid_focal | regression: giou", {"classification": 1.0, "regression": 1.0})
    trial = Trial(loss, loss.tuned(None, loss.customary()), 0.003, 0, 0, SEARCH_EVAL)
    settings = TrainingSettings(optimiser="adam", batch_size=4, num_epochs=100)
    (outcome,) = outcomes(make_execution("serial", task, settings), [trial])
    assert outcome.scores["ap50"] > 0.3


@pytest.mark.slow
def test_one_step_of_the_whole_network_at_512(folder):
    """The published network on two images: the step is finite, at all of its locations."""
    task = make(folder, model="fcos_resnet50", model_options={}, image_size=(512, 512), size_limits=(), train_limit=2)
    loss = branch_families("classification: sigmoid_focal | regression: giou", {"classification": 1.0, "regression": 1.0})
    trial = Trial(loss, loss.tuned(None, loss.customary()), 0.01, 0, 0, TRAIN, num_steps=1, keep_end=True)
    settings = TrainingSettings(batch_size=2, num_epochs=1, weight_decay=1e-4, clip_norm=35.0)
    (outcome,) = outcomes(make_execution("serial", task, settings), [trial])
    assert outcome.finite
    assert task.details["num_locations"] == 64**2 + 32**2 + 16**2 + 8**2 + 4**2
