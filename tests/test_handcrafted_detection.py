"""Hand-crafted losses of detection against NumPy, by values, and what they are at extremes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.spaces.families import family
from jaxloss.spaces.handcrafted_detection import DETECTION_FAMILIES
from tests.detection_task import reference

COUNT = 6
NUMBERS = {"gamma": 1.5, "alpha": 0.3, "beta": 0.4}


def inputs(seed=0):
    """Two samples of which the last position is void, and holds nothing that is a number."""
    random = np.random.default_rng(seed)
    shape = (2, COUNT, 1)
    wanted, distances = random.uniform(0.3, 3, (*shape, 4)), random.uniform(0.1, 3, (*shape, 4))
    distances[0, 1] = wanted[0, 1]
    boxes = [np.concatenate([-one[..., :2], one[..., 2:]], axis=-1) for one in (distances, wanted)]
    areas = [reference.measures(*pair) for pair in zip(*(one.reshape(-1, 4) for one in boxes), strict=True)]
    labels = random.integers(-1, 3, (2, COUNT))
    arrays = {
        "logits": random.normal(0, 3, (*shape, 3)),
        "target": (labels[..., None, None] == np.arange(3)).astype(float),
        "distances": distances,
        "target_distances": wanted,
        # Any four numbers will do.
        "deltas": distances,
        "target_deltas": wanted,
        **{name: np.reshape([one[name[0]] for one in areas], (*shape, 1)) for name in ("intersection", "union", "enclosing")},
    }
    for array in arrays.values():
        array[:, -1] = np.nan
    mask = np.ones((*shape, 1), bool)
    mask[:, -1] = False
    return LossInputs.create({name: jnp.asarray(one, jnp.float32) for name, one in arrays.items()}, jnp.asarray(mask)), boxes


def smooth(x, beta):
    return np.where(x < beta, x**2 / (2 * beta), x - beta / 2)


def expected(name, given, boxes):
    """By the papers' formulas, in float64, `[2, COUNT]`; the last column means nothing."""
    logits, target = (np.asarray(given.arrays[one], float) for one in ("logits", "target"))
    p = 1 / (1 + np.exp(-logits))
    if name == "sigmoid_cross_entropy":
        return -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum(axis=(-1, -2))
    if name == "sigmoid_focal":
        gamma, alpha = NUMBERS["gamma"], NUMBERS["alpha"]
        right = -alpha * (1 - p) ** gamma * np.log(p) * target
        return (right - (1 - alpha) * p**gamma * np.log(1 - p) * (1 - target)).sum(axis=(-1, -2))
    found = []
    for box, wanted in zip(*(one.reshape(-1, 4) for one in boxes), strict=True):
        one, beta = reference.measures(box, wanted), NUMBERS["beta"]
        found.append(
            {
                "iou": 1 - one["iou"],
                "log_iou": -np.log(max(one["iou"], 1e-6)),
                "giou": 1 - one["giou"],
                "diou": 1 - one["iou"] + one["distance"],
                "ciou": 1 - one["iou"] + one["distance"] + one["alpha"] * one["v"],
                "bounded_iou": smooth(np.array(reference.bounded(box, wanted)), beta).sum(),
                "box_l1": np.abs(box - wanted).mean(),
                "box_smooth_l1": smooth(np.abs(box - wanted), beta).mean(),
                # The box is these four numbers with two signs changed.
                "delta_l1": np.abs(box - wanted).sum(),
                "delta_smooth_l1": smooth(np.abs(box - wanted), beta).sum(),
            }[name]
        )
    return np.reshape(found, (2, COUNT))


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("name", DETECTION_FAMILIES)
def test_values_are_those_of_the_formulas_and_void_is_harmless(name):
    given, boxes = inputs()
    one = family(name)
    numbers = {key: NUMBERS[key] for key in one.tuning_ranges}
    values = jax.jit(one.values)(given, **one.encode(numbers))
    assert values.shape == (2, COUNT, 1, 1)
    np.testing.assert_allclose(values[:, :-1, 0, 0], expected(name, given, boxes)[:, :-1], rtol=2e-5, atol=1e-6)

    def loss(arrays):
        return one.loss(one.encode(numbers), {"": LossInputs(arrays, given.mask, given.weights)})

    gradients = jax.jit(jax.grad(loss))(dict(given.arrays))
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    assert {key for key, gradient in gradients.items() if gradient.any()} <= {*one.inputs}


def test_focal_loss_is_cross_entropy_where_it_forgets_nothing():
    given, _ = inputs()
    focal = family("sigmoid_focal").values(given, gamma=jnp.float32(0), alpha=jnp.float32(0.5))
    np.testing.assert_allclose(2 * focal[:, :-1], family("sigmoid_cross_entropy").values(given)[:, :-1], rtol=1e-5)


def test_losses_that_depend_on_the_unit_say_so():
    for name in ("box_l1", "box_smooth_l1"):
        assert "depends on the unit" in family(name).source
