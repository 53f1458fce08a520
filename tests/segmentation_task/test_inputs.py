"""What the task offers to losses, and what of it hand-crafted ones see."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss.core.types import LABEL, LABEL_MASK, LossInputs
from jaxloss.spaces.families import FAMILIES, branch_families, family
from jaxloss.systems.autoloss_zero.published import AUTOLOSS_ZERO_FORMULAS
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.training_targets import BAND, EDGES, LABELS, training_target
from jaxloss.tasks.segmentation.inputs import BRANCH, PixelInputs
from tests.segmentation_task.scenes import make, scenes

RULE = BoundaryRule(1, 1)


def batch_of(task, count=3):
    return jax.tree.map(lambda leaf: leaf[:count], task.data[TRAIN])


def inputs_of(task, batch):
    def of(batch):
        return task.forward(task.init(jax.random.key(0)), batch, jax.random.key(1))[0][BRANCH]

    return jax.jit(of)(batch)


def test_predictions_targets_logits_and_prior_of_every_pixel(task):
    batch = batch_of(task)
    inputs = inputs_of(task, batch)
    assert {name: array.shape for name, array in inputs.arrays.items()} == dict.fromkeys(task.offers[BRANCH], (3, 24, 32, 3))
    np.testing.assert_allclose(inputs.arrays["prediction"], jax.nn.softmax(inputs.arrays["logits"]), rtol=1e-6)
    mask = np.asarray(batch["mask"])
    np.testing.assert_array_equal(inputs.mask[..., 0], mask != 255)
    np.testing.assert_array_equal(np.argmax(inputs.arrays["target"], -1)[mask != 255], mask[mask != 255])
    np.testing.assert_array_equal(inputs.arrays["target"].sum(-1), mask != 255)
    whole = np.asarray(task.data[TRAIN]["mask"])
    counts = np.array([(whole == one).sum() for one in range(3)])
    np.testing.assert_allclose(inputs.arrays["prior"][0, 0, 0], counts / counts.sum(), rtol=1e-6)
    assert task.details["train_pixels_by_class"] == counts.tolist()


def test_losses_see_float32_whatever_the_network_computes_in(folder):
    task = make(folder, precision="bfloat16")
    inputs, _ = jax.eval_shape(task.forward, jax.eval_shape(task.init, jax.random.key(0)), batch_of(task), jax.random.key(1))
    assert {array.dtype for array in inputs[BRANCH].arrays.values()} == {jnp.dtype("float32")}


@pytest.mark.parametrize(("metric", "kind"), [("mean_iou", LABELS), ("boundary_iou", BAND), ("boundary_f1", EDGES)])
def test_a_metric_has_its_customary_target(folder, metric, kind):
    task = make(folder, metric=metric)
    batch = batch_of(task)
    inputs = inputs_of(task, batch)
    target, mask = training_target(batch["mask"], 3, kind, RULE)
    np.testing.assert_array_equal(inputs.arrays["target"], target)
    np.testing.assert_array_equal(inputs.mask, mask)
    assert (LABEL in inputs.arrays) == (kind != LABELS)
    assert task.details["training_target"] == kind
    assert inputs_of(make(folder, metric=metric, training_target="labels"), batch).arrays.keys() == set(task.offers[BRANCH])


@pytest.mark.parametrize("kind", [EDGES, BAND])
@pytest.mark.parametrize("name", ["cross_entropy", "dice", "boundary_cross_entropy", "weighted_cross_entropy"])
def test_hand_crafted_losses_learn_from_labels_whatever_the_target(kind, name):
    """Of their loss and of its gradient; and the target they do not look at is another one."""
    _, masks = scenes(2)
    # Better guesses at the left than at the right.
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(*masks.shape, 3)), jnp.float32) * jnp.linspace(0, 4, 32)[:, None]
    batch = {"mask": jnp.asarray(masks), "prior": jnp.full((2, 3), 1 / 3)}
    plain, other = (PixelInputs(3, one, RULE)(logits, batch) for one in (LABELS, kind))
    loss = branch_families(name, {BRANCH: 1.0})
    encoded = loss.encode(loss.defaults)

    def value(logits, inputs):
        return loss.loss(encoded, {BRANCH: dataclasses.replace(inputs, arrays={**inputs.arrays, "logits": logits})})

    of = jax.jit(jax.value_and_grad(value))
    expected, found = (of(logits, inputs) for inputs in (plain, other))
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-9)
    arrays = {key: array for key, array in other.arrays.items() if key not in (LABEL, LABEL_MASK)}
    blind, _ = of(logits, LossInputs.create(arrays, other.mask))
    assert abs(blind - expected[0]) > 0.01 * abs(expected[0])


def test_a_task_without_labels_beside_its_target_is_as_before():
    inputs = LossInputs.create({"logits": jnp.zeros((2, 1, 1, 3)), "target": jnp.eye(3)[jnp.array([0, 2])][:, None, None]})
    assert float(family("cross_entropy").loss({}, {"": inputs})) == pytest.approx(np.log(3))


@pytest.mark.parametrize("metric", ["mean_iou", "boundary_f1", pytest.param("boundary_iou", marks=pytest.mark.slow)])
def test_what_is_predicted_at_void_changes_no_loss(folder, metric):
    """Neither values nor gradients, of rivals and of formulas with poolings and means; and no gradient comes from there."""
    task = make(folder, metric=metric)
    batch = batch_of(task)
    made = PixelInputs(3, task.details["training_target"], RULE)
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(3, 24, 32, 3)), jnp.float32)
    void = np.asarray(batch["mask"] == 255)[..., None]
    other = jnp.where(void, 7 * logits[..., ::-1] + 3, logits)
    space = jaxloss.make_space("autoloss_zero", branches=(BRANCH,))
    texts = [AUTOLOSS_ZERO_FORMULAS[f"autoloss_zero_{name}"] for name in ("miou", "macc", "bf1")]
    losses = [lambda inputs, text=text: space.compile(space.parse(text))({BRANCH: inputs}) for text in texts]
    for name in ("cross_entropy", "lovasz_softmax", "structural_similarity"):
        one = FAMILIES[name]
        losses.append(lambda inputs, one=one: one.loss(one.encode(one.defaults), {BRANCH: inputs}))

    @jax.jit
    def of(logits):
        return [jax.value_and_grad(lambda logits, loss=loss: loss(made(logits, batch)))(logits) for loss in losses]

    for (value, gradient), (same, _) in zip(of(logits), of(other), strict=True):
        np.testing.assert_allclose(value, same, rtol=1e-5)
        assert np.abs(gradient)[~void[..., 0]].max() > 0
        assert not np.abs(gradient)[void[..., 0]].any()
