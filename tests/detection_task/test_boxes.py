"""Areas, overlaps and penalties of boxes, their gradients too, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core import boxes as geometry
from tests.detection_task import reference

PAIRS = {
    "overlapping": ((1.0, 2.0, 5.0, 7.0), (2.0, 1.0, 6.5, 5.0)),
    "inside": ((2.0, 2.0, 4.0, 3.0), (0.0, 0.0, 9.0, 8.0)),
    "apart": ((0.0, 0.0, 2.0, 1.0), (5.0, 6.0, 8.0, 9.0)),
    "beside": ((0.0, 0.0, 2.0, 4.0), (3.0, 1.0, 6.0, 3.5)),
    "thin": ((0.0, 0.0, 30.0, 0.5), (1.0, -2.0, 2.0, 10.0)),
}
DEGENERATE = {
    "coinciding": ((1.0, 2.0, 5.0, 7.0), (1.0, 2.0, 5.0, 7.0)),
    "a point": ((1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 4.0, 4.0)),
    "two points": ((1.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)),
    "turned inside out": ((4.0, 4.0, 1.0, 1.0), (0.0, 0.0, 4.0, 4.0)),
    "touching": ((0.0, 0.0, 2.0, 2.0), (2.0, 0.0, 4.0, 2.0)),
}


def quantities(box, other):
    found = geometry.overlap(box, other)
    return {
        "i": found.intersection,
        "u": found.union,
        "e": found.enclosing,
        "iou": found.iou,
        "giou": geometry.generalised_iou(found),
        "distance": geometry.distance_penalty(box, other),
        "alpha v": geometry.aspect_penalty(box, other, found.iou),
        **{f"bounded {n}": one for n, one in enumerate(geometry.bounded_iou_errors(box, other))},
    }


def expected(box, other):
    found = reference.measures(box, other)
    found["alpha v"] = found.pop("alpha") * found.pop("v")
    return found | {f"bounded {n}": one for n, one in enumerate(reference.bounded(box, other))}


@pytest.fixture(scope="module")
def results():
    """Values and gradients of all pairs at once, in float64."""
    with jax.enable_x64(True):
        names = [*PAIRS, *DEGENERATE]
        both = np.array([(PAIRS | DEGENERATE)[name] for name in names])
        function = jax.jit(jax.vmap(lambda pair: (quantities(*pair), jax.jacrev(lambda box: quantities(box, pair[1]))(pair[0]))))
        values, gradients = jax.tree.map(np.asarray, function(jnp.asarray(both)))
        return {
            name: ({key: one[n] for key, one in values.items()}, {key: one[n] for key, one in gradients.items()})
            for n, name in enumerate(names)
        }


@pytest.mark.parametrize("name", [*PAIRS, *DEGENERATE])
def test_values_are_those_of_the_formulas(results, name):
    values, _ = results[name]
    wanted = expected(*(PAIRS | DEGENERATE)[name])
    assert values.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_allclose(values[key], value, rtol=1e-12, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_those_of_the_formulas(results, name):
    _, gradients = results[name]
    box, other = PAIRS[name]
    alpha = reference.measures(box, other)["alpha"]
    for key, gradient in gradients.items():

        def value(moved, key=key):
            # alpha is a constant for the gradient.
            return alpha * reference.measures(moved, other)["v"] if key == "alpha v" else expected(moved, other)[key]

        np.testing.assert_allclose(gradient, reference.numeric_gradient(value, box), rtol=1e-6, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("name", DEGENERATE)
def test_gradients_are_finite_where_boxes_are_degenerate(results, name):
    for key, gradient in results[name][1].items():
        assert np.isfinite(gradient).all(), key


def test_boxes_around_a_location_have_its_distances():
    np.testing.assert_array_equal(geometry.around(jnp.array([1.0, 2.0, 3.0, 4.0])), [-1, -2, 3, 4])
    assert geometry.area(geometry.around(jnp.array([1.0, 2.0, 3.0, 4.0]))) == 24
