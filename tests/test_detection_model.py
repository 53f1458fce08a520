"""The tiny FCOS: the form of its outputs, its size, its prior, and that heads are shared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.tasks.detection.locations import Locations
from jaxloss.tasks.models.detection.fcos import TinyFCOS
from jaxloss.tasks.models.registry import make_detection_model
from tests.errors import user_error

SMALL = {"features": (4, 6, 8), "num_levels": 2, "channels": 8}


@pytest.fixture(scope="module")
def small():
    """The network, its variables, and what it makes of images."""
    network = TinyFCOS(3, **SMALL)
    variables = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    return network, variables, jax.jit(network.apply)


def test_it_has_about_two_hundred_thousand_parameters():
    shapes = jax.eval_shape(TinyFCOS(3).init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    assert 150_000 < sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) < 300_000
    assert TinyFCOS(3).strides == (8, 16, 32)


def test_outputs_are_those_of_the_locations_of_all_levels(small):
    network, variables, run = small
    size = (22, 17)
    outputs = run(variables, jnp.ones((2, *size, 3)))
    count = len(Locations.create(size, network.strides))
    assert count == 6 * 5 + 3 * 3
    assert outputs.logits.shape == (2, count, 3)
    assert outputs.distances.shape == (2, count, 4)
    assert outputs.quality.shape == (2, count)
    assert (outputs.distances > 0).all()


def test_classes_begin_at_the_prior_and_boxes_at_two_strides(small):
    _, variables, run = small
    images = jax.random.normal(jax.random.key(1), (1, 16, 16, 3))
    outputs = run(variables, images)
    np.testing.assert_allclose(jax.nn.sigmoid(outputs.logits), 0.01, atol=0.003)
    np.testing.assert_allclose(outputs.distances, 1, atol=0.3)


def test_background_is_a_class_more_that_begins_near_one():
    network = TinyFCOS(3, **SMALL, background=True)
    images = jax.random.normal(jax.random.key(1), (1, 16, 16, 3))
    outputs = jax.jit(lambda key: network.init_with_output(key, images)[0])(jax.random.key(0))
    np.testing.assert_allclose(jax.nn.softmax(outputs.logits), np.broadcast_to([0.01] * 3 + [0.97], (1, 20, 4)), atol=0.01)


def test_heads_are_shared_by_the_levels(small):
    """Maps that are the same give the same outputs but for the factor of the level."""
    _, variables, run = small
    double = jax.tree.map(lambda leaf: leaf, variables)
    double["params"]["level_factors"] = jnp.array([1.0, 2.0])
    images = jax.random.normal(jax.random.key(1), (1, 16, 16, 3))
    first, second = (run(one, images) for one in (variables, double))
    fine = 16
    np.testing.assert_array_equal(first.distances[:, :fine], second.distances[:, :fine])
    np.testing.assert_allclose(first.distances[:, fine:] ** 2, second.distances[:, fine:], rtol=1e-5)
    np.testing.assert_array_equal(first.logits, second.logits)


def test_native_convolutions_give_the_same(small):
    _, variables, run = small
    images = jax.random.normal(jax.random.key(1), (1, 16, 16, 3))
    by_patches, native = run(variables, images), jax.jit(TinyFCOS(3, **SMALL, convolution="native").apply)(variables, images)
    for one, other in zip(jax.tree.leaves(by_patches), jax.tree.leaves(native), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_outputs_are_float32_whatever_it_computes_in(small):
    _, variables, _ = small
    outputs = jax.eval_shape(TinyFCOS(3, **SMALL, dtype="bfloat16").apply, variables, jnp.ones((1, 16, 16, 3)))
    assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype("float32")}


def test_mistakes_are_one_line():
    with user_error("unknown model 'fcos'"):
        make_detection_model("fcos", 3)
    with user_error("model 'tiny_fcos' has no option 'level'"):
        make_detection_model("tiny_fcos", 3, options={"level": 3})
    with user_error("TinyFCOS needs images of at least 9 x 9 pixels, not 8 x 30"):
        TinyFCOS(3, **SMALL).check_size(jnp.zeros((1, 8, 30, 3)))
