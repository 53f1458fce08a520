"""Trainings of the retrieval task: frozen and pretrained backbones, and the steps of the learning rate."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxloss.core.errors import UserError
from jaxloss.spaces.families import family
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training
from tests.pytorch_networks import resnet_state
from tests.retrieval_task.market import make

SPACE = autoloss_gms()


def test_a_training_learns_to_find_unseen_persons(task):
    settings = TrainingSettings(batch_size=6, num_epochs=25, optimiser="adam")
    training = Training(task, SPACE, settings)
    encoded = SPACE.encode(SPACE.parse("t: Minus(x, 0.1) | n: x | log2_s: 4"))
    before = jax.jit(task.scores)(jax.jit(task.init)(jax.random.key(0)), task.data[TEST])
    outcome = training.run(encoded, 0.01, 0, task.data, TEST)
    assert outcome.score == outcome.scores["mAP_step"]
    assert outcome.score > max(0.6, float(before["mAP_step"]) + 0.1)
    training.run(SPACE.encode(SPACE.parse("t: x | n: Exp(x) | log2_s: 2")), 0.01, 0, task.data, TEST)
    assert training.compilations == 1


def trained_both_ways(task, market):
    """On the device, and streamed."""
    settings, cosface = TrainingSettings(batch_size=6, num_epochs=2), family("cosface")
    outcomes = []
    for one in (task, make(market, training_data="streamed")):
        training = Training(one, cosface, settings, "steps")
        encoded = cosface.encode(cosface.defaults)
        outcomes.append(training.run(encoded, 0.05, 3, one.data, SEARCH_EVAL, keep_end=True))
    return outcomes


@pytest.mark.slow
def test_batches_by_identity_may_be_streamed(task, market):
    """The identities stay on the device, the images come batch by batch, in the same order."""
    device, streamed = trained_both_ways(task, market)
    assert device.steps == streamed.steps == 12
    np.testing.assert_array_equal(streamed.end.state.orders, device.end.state.orders)
    chex.assert_trees_all_close(streamed.end.variables, device.end.variables, rtol=1e-2, atol=1e-2)


@pytest.mark.slow
@pytest.mark.users_compiler
def test_a_streamed_training_ends_bit_for_bit_the_same(task, market):
    device, streamed = trained_both_ways(task, market)
    assert streamed.scores == device.scores
    chex.assert_trees_all_equal(streamed.end, device.end)


def test_a_backbone_stands_still_while_it_is_frozen(task):
    """Its parameters and its running statistics, bit by bit; then it moves."""

    def backbone(tree):  # the first convolution plays the part
        def marked(part, mark):
            return jax.tree.map(lambda _: mark, part)

        network = {name: marked(part, name[-2:] == "_0") for name, part in tree["network"].items()}
        return {**{name: marked(part, False) for name, part in tree.items()}, "network": network}

    frozen = dataclasses.replace(task, backbone=backbone)
    settings = TrainingSettings(batch_size=6, num_epochs=4, frozen_epochs=2, weight_decay=1e-2)
    cosface = family("cosface")
    training = Training(frozen, cosface, settings)
    encoded, train = cosface.encode(cosface.defaults), task.data[TRAIN]
    start = training.begin(encoded, jax.random.key(0), train)
    half = training.advance(start, encoded, jnp.float32(0.1), train, 12)
    end = training.advance(half, encoded, jnp.float32(0.1), train, 12)

    def parts(state, collection, suffix):
        return [leaf for name, part in state.variables[collection]["network"].items() if name.endswith(suffix)
                for leaf in jax.tree.leaves(part)]  # fmt: skip

    for collection in ("params", "batch_stats"):
        before, middle, after = (parts(state, collection, "_0") for state in (start, half, end))
        assert all(map(np.array_equal, before, middle))
        assert not any(map(np.array_equal, middle, after))
        assert not any(map(np.array_equal, *(parts(state, collection, "_1") for state in (start, half))))


def test_no_momentum_builds_up_while_the_backbone_is_frozen():
    settings = TrainingSettings(frozen_epochs=3, schedule="constant", weight_decay=0.1)
    ones = {"backbone": jnp.ones(2), "rest": jnp.ones(2)}
    optimiser = settings.make_optimiser(10, 1, lambda tree: {"backbone": True, "rest": False})
    state, updates = optimiser.init(ones), []
    for _ in range(4):
        update, state = optimiser.update(ones, state, ones)
        updates.append({name: float(leaf[0]) for name, leaf in update.items()})
    assert [update["backbone"] for update in updates] == pytest.approx([0, 0, 0, 1.1])
    assert updates[3]["rest"] == pytest.approx(1.1 * (1 + 0.9 + 0.81 + 0.729))


def test_pretrained_weights_reach_the_backbone_and_nothing_else(market, tmp_path):
    """The same in every training; the classifiers and the layers behind the backbone are initialised by the seed."""
    depths, width = (1, 1, 1, 1), 4
    shapes = resnet_state(depths, width)
    random = np.random.default_rng(0)
    tensors = {name: random.uniform(0.5, 1, np.shape(tensor)).astype(np.float32) for name, tensor in shapes.items()}
    save_file(tensors, tmp_path / "weights.safetensors")
    options = {"model": "resnet50", "model_options": {"depths": depths, "width": width}, "image_size": (32, 16)}
    task = make(market, pretrained=str(tmp_path / "weights.safetensors"), **options)
    first, second = (jax.jit(task.init)(jax.random.key(seed)) for seed in (0, 1))
    stem = first["params"]["network"]["backbone"]["conv1"]["kernel"]
    np.testing.assert_array_equal(stem, tensors["conv1.weight"].transpose(2, 3, 1, 0))
    mask = task.backbone(first["params"])
    same = jax.tree.map(np.array_equal, first["params"], second["params"])
    assert all(jax.tree.leaves(same["network"]["backbone"]))
    assert not same["classes"]
    assert all(jax.tree.leaves(mask["network"]["backbone"]))
    assert not mask["classes"]
    assert not any(jax.tree.leaves({name: part for name, part in mask["network"].items() if name != "backbone"}))
    statistics = first["batch_stats"]["network"]["backbone"]["bn1"]
    np.testing.assert_array_equal(statistics["mean"], tensors["bn1.running_mean"])


def test_steps_and_warm_up_follow_section_g():
    """140 epochs: from 1% of the rate to all of it in 20 epochs, a tenth of it from epoch 60, a hundredth from epoch 100."""
    settings = TrainingSettings(
        num_epochs=140, schedule="steps", warmup_epochs=20, warmup_start=0.01, step_epochs=(60.0, 100.0), step_factor=0.1
    )
    factor = settings.rate_factor(1400, 10)
    found = [float(factor(step)) for step in (0, 100, 200, 599, 601, 999, 1001, 1399)]
    np.testing.assert_allclose(found, [0.01, 0.505, 1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-4)
    with pytest.raises(UserError, match="step_epochs must rise"):
        TrainingSettings(warmup_epochs=20, step_epochs=(10.0,))
    with pytest.raises(UserError, match=r"step_epochs \(100\) must end before the training does: training.num_epochs is 80"):
        TrainingSettings(num_epochs=80, schedule="steps", step_epochs=(60.0, 100.0))
