"""What the task offers to losses, and how it is reduced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss
from jaxloss.spaces.families import branch_families
from jaxloss.tasks.detection.assignment import FCOSAssignment, centreness
from jaxloss.tasks.detection.decoding import Decoder
from jaxloss.tasks.detection.inputs import BoxInputs, auxiliary_losses
from jaxloss.tasks.detection.locations import Locations
from jaxloss.tasks.models.detection.network import DetectionOutputs
from tests.detection_task import reference

SIZE, STRIDES, NUM_CLASSES = (24, 32), (8, 16), 2
LOCATIONS = Locations.create(SIZE, STRIDES)
# The second image has no box, the third one crowd.
BOXES = np.array([[[2, 2, 14, 14], [6, 0, 32, 24]], [[0] * 4] * 2, [[0, 0, 16, 24], [0] * 4]], np.float32)
BATCH = {
    "boxes": BOXES,
    "labels": np.array([[1, 0], [0, 0], [1, 0]], np.int32),
    "valid": np.array([[1, 1], [0, 0], [1, 0]], bool),
    "crowd": np.array([[0, 0], [0, 0], [1, 0]], bool),
}


def make(unit="target", quality="iou", weights="centreness", probabilities="sigmoid"):
    return BoxInputs(NUM_CLASSES, LOCATIONS, FCOSAssignment((10.0,)), unit, quality, weights, probabilities)


def outputs(seed=0):
    random = np.random.default_rng(seed)
    count = (3, len(LOCATIONS))
    return (
        jnp.asarray(random.normal(size=(*count, NUM_CLASSES)), jnp.float32),
        jnp.asarray(random.uniform(0.2, 2, (*count, 4)), jnp.float32),
        jnp.asarray(random.normal(size=count), jnp.float32),
    )


def predicted_boxes(distances):
    points, strides = LOCATIONS.points, LOCATIONS.strides[:, None]
    d = np.asarray(distances) * strides
    return np.concatenate([points - d[..., :2], points + d[..., 2:]], axis=-1)


def test_classification_is_of_all_locations_and_the_overlap_of_the_predicted_boxes():
    made = make()
    logits, distances, _ = outputs()
    targets = made.targets(BATCH)
    found = made.classification(logits, distances, targets)
    positive = np.asarray(targets.assigned.positive)
    assert positive[0].sum() >= 2
    assert not positive[1:].any()
    labels = np.asarray(targets.assigned.labels)
    np.testing.assert_array_equal(found.arrays["target"][:, :, 0], labels[..., None] == np.arange(NUM_CLASSES))
    np.testing.assert_allclose(found.arrays["prediction"][:, :, 0], 1 / (1 + np.exp(-np.asarray(logits))), rtol=1e-5)
    np.testing.assert_array_equal(found.arrays["logits"][:, :, 0], logits)
    wanted = np.ones(positive.shape)
    for n, l in zip(*np.nonzero(positive), strict=True):
        box = BOXES[n, int(targets.assigned.index[n, l])]
        wanted[n, l] = reference.measures(predicted_boxes(distances)[n, l], box)["iou"]
    np.testing.assert_allclose(found.arrays["overlap"][:, :, 0, 0], wanted, rtol=1e-5)
    # Inside the crowd, and on its border, nothing is learnt.
    x, y = LOCATIONS.points.T
    np.testing.assert_array_equal(found.mask[2, :, 0, 0], (x >= 16) | (y >= 24))
    assert found.mask[:2].all()


def test_background_may_be_a_class_of_a_softmax():
    made = make(probabilities="softmax")
    logits, distances, _ = outputs()
    logits = jnp.concatenate([logits, jnp.ones((*logits.shape[:2], 1))], axis=-1)
    targets = made.targets(BATCH)
    found = made.classification(logits, distances, targets)
    labels = np.asarray(targets.assigned.labels)
    wanted = np.where(labels < 0, NUM_CLASSES, labels)[..., None] == np.arange(NUM_CLASSES + 1)
    np.testing.assert_array_equal(found.arrays["target"][:, :, 0], wanted)
    np.testing.assert_allclose(found.arrays["prediction"], jax.nn.softmax(logits)[:, :, None], rtol=1e-6)


def test_the_overlap_has_no_gradient():
    made = make()
    logits, distances, _ = outputs()
    targets = made.targets(BATCH)
    gradient = jax.grad(lambda one: made.classification(logits, one, targets).arrays["overlap"].sum())(distances)
    assert not gradient.any()


def test_the_sum_of_the_classification_loss_is_divided_by_the_positives():
    made = make()
    logits, distances, _ = outputs()
    targets = made.targets(BATCH)
    found = made.classification(logits, distances, targets)
    values = found.arrays["prediction"]
    kept = np.asarray(values)[np.asarray(found.mask[:, :, 0, 0])].sum()
    np.testing.assert_allclose(mean_loss(values, found), kept / int(targets.assigned.positive.sum()), rtol=1e-5)
    empty = {**BATCH, "valid": BATCH["valid"] & False}
    found = made.classification(logits, distances, made.targets(empty))
    np.testing.assert_allclose(mean_loss(values, found), values.sum(), rtol=1e-5)


@pytest.mark.parametrize("unit", ["target", "strides", "pixels"])
def test_regression_is_of_positive_locations_and_its_areas_are_in_the_unit(unit):
    made = make(unit)
    _, distances, _ = outputs()
    targets = made.targets(BATCH)
    found = made.regression(distances, targets)
    positive = np.asarray(targets.assigned.positive)
    np.testing.assert_array_equal(found.mask[:, :, 0, 0], positive)
    for n, l in zip(*np.nonzero(positive), strict=True):
        box = BOXES[n, int(targets.assigned.index[n, l])]
        wanted = reference.measures(predicted_boxes(distances)[n, l], box)
        whole = {"target": reference.area(box), "strides": LOCATIONS.strides[l] ** 2, "pixels": 1}[unit]
        for name in ("intersection", "union", "enclosing"):
            np.testing.assert_allclose(found.arrays[name][n, l, 0, 0], wanted[name[0]] / whole, rtol=1e-4)
        sides = [*(LOCATIONS.points[l] - box[:2]), *(box[2:] - LOCATIONS.points[l])]
        np.testing.assert_allclose(found.arrays["target_distances"][n, l, 0], np.array(sides) / LOCATIONS.strides[l])
    weights = np.where(positive, centreness(targets.distances), 1)
    np.testing.assert_allclose(np.where(positive, found.weights[:, :, 0, 0], 1), weights)
    assert (np.asarray(make(weights="evenly").regression(distances, targets).weights) == 1).all()


def test_in_units_of_the_target_the_scale_of_objects_does_not_matter():
    """A perfect box has 1, 1, 1 whatever its size, and a loss with a constant in it has one gradient for all scales."""
    made = make()
    perfect = made.areas(jnp.ones((1, 1, 4)) * 3, jnp.ones((1, 1, 4)) * 3, jnp.ones((1, 1)))
    assert [float(one.squeeze()) for one in perfect.values()] == [1, 1, 1]
    ratios = jnp.array([0.5, 1.2, 0.7, 1.5])
    small, large = (made.areas(ratios[None, None] * s, jnp.full((1, 1, 4), s), jnp.ones((1, 1))) for s in (0.5, 8.0))
    for name in small:
        np.testing.assert_allclose(small[name], large[name], rtol=1e-6)


@pytest.mark.parametrize("kind", ["iou", "centreness"])
def test_quality_learns_what_is_asked_for(kind):
    made = make(quality=kind)
    _, distances, quality = outputs()
    targets = made.targets(BATCH)
    found = made.quality(quality, distances, targets)
    positive = np.asarray(targets.assigned.positive)
    expected = made.overlaps(distances, targets)[..., 0, 0] if kind == "iou" else centreness(targets.distances)
    wanted, logit = np.asarray(expected)[positive], np.asarray(quality)[positive]
    loss = auxiliary_losses(0.5)["quality"](found, None)
    np.testing.assert_allclose(loss, 0.5 * np.mean(np.log1p(np.exp(logit)) - wanted * logit), rtol=1e-5)


@pytest.mark.slow
def test_every_pair_of_hand_crafted_losses_is_finite_and_moves_both_outputs():
    made = make()
    logits, distances, _ = outputs()
    pairs = [
        ("sigmoid_cross_entropy", "iou"),
        ("sigmoid_focal", "log_iou"),
        ("sigmoid_focal", "giou"),
        ("sigmoid_focal", "diou"),
        ("sigmoid_focal", "ciou"),
        ("sigmoid_focal", "bounded_iou"),
        ("sigmoid_focal", "box_l1"),
        ("sigmoid_focal", "box_smooth_l1"),
    ]
    names = [f"classification: {one} | regression: {other}" for one, other in pairs]
    families = [branch_families(name, {"classification": 1.0, "regression": 10.0}) for name in names]

    @jax.jit
    def losses(logits, distances):
        targets = made.targets(BATCH)
        inputs = {
            "classification": made.classification(logits, distances, targets),
            "regression": made.regression(distances, targets),
        }
        return jnp.stack([one.loss(one.tuned(None, one.customary()), inputs) for one in families])

    values, gradients = losses(logits, distances), jax.jit(jax.jacrev(losses, argnums=(0, 1)))(logits, distances)
    assert np.isfinite(values).all()
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert (np.abs(gradient).sum(axis=(1, 2, 3)) > 0).all()
    # Locations without a box, and those inside of a crowd, move nothing.
    assert not gradients[1][:, 1:].any()


def test_padding_is_neither_learnt_nor_found():
    """Cells that show a pixel of the image count; detections end where it ends."""
    content = jnp.array([[0.0, 0.0, 20.0, 12.0]])
    batch = {
        "boxes": jnp.array([[[2.0, 2.0, 18.0, 11.0]]]),
        "labels": jnp.zeros((1, 1), jnp.int32),
        "valid": jnp.ones((1, 1), bool),
        "crowd": jnp.zeros((1, 1), bool),
    }
    locations = Locations.create((32, 32), (8, 16))
    inputs = BoxInputs(2, locations, FCOSAssignment((10.0,)), "target", "iou", "evenly")
    whole, padded = (inputs.targets(one).assigned for one in (batch, {**batch, "content": content}))
    assert whole.counted.all()
    first_pixels = locations.points - locations.strides[:, None] / 2
    np.testing.assert_array_equal(padded.counted[0], (first_pixels[:, 0] < 20) & (first_pixels[:, 1] < 12))
    np.testing.assert_array_equal(whole.index, padded.index)
    assert padded.positive.any()
    decode = Decoder(locations, jax.nn.sigmoid, 2, 0.05, 1.0, 100, 100)
    count = len(locations)
    outputs = DetectionOutputs(jnp.full((1, count, 2), 3.0), jnp.full((1, count, 4), 2.0), jnp.zeros((1, count)))
    found = decode(outputs, content)
    assert (found.labels >= 0).sum() == 2 * padded.counted.sum()
    assert (found.boxes <= jnp.array([20.0, 12.0, 20.0, 12.0])).all()
    assert (found.boxes[..., 2:].max(axis=1) == jnp.array([20.0, 12.0])).all()
