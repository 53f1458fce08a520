"""Networks: shapes, parameter counts, and two convolutions that must be the same function."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.models.convolution import convolution, convolve_by_patches
from jaxloss.tasks.models.registry import MODELS, make_model
from jaxloss.tasks.models.resnet import shortcut
from jaxloss.tasks.models.small_cnn import mean_pool

SMALL = {
    "mlp": {"features": [4]},
    "small_cnn": {"features": [3, 4]},
    "resnet20": {"features": [2, 3, 4], "depth": 8},
}


def normal(seed, shape):
    """From NumPy, since the compilation of JAX's generator would take most of the time of these tests."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def filled(shapes):
    """Variables without running an initialiser."""
    generator = np.random.default_rng(0)

    def fill(path, leaf):
        name = path[-1].key
        if name in ("scale", "var"):
            return np.ones(leaf.shape, leaf.dtype)
        return (generator.normal(0, 0.3, leaf.shape) * (name == "kernel")).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(fill, shapes)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("kernel_size", "strides", "padding", "groups"),
    [
        ((3, 3), (1, 1), "SAME", 1),
        ((3, 2), (2, 3), "SAME", 1),
        ((3, 2), (2, 3), "VALID", 1),
        ((1, 1), (2, 2), "SAME", 1),
        ((3, 2), (1, 2), "SAME", 3),
    ],
)
def test_patches_equal_native_in_value_and_gradient(kernel_size, strides, padding, groups):
    inputs = normal(0, (2, 7, 8, 3))
    kernel = normal(1, (*kernel_size, 3, 4) if groups == 1 else (*kernel_size, 1, 3))
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": groups}

    def native(inputs, kernel):
        return jax.lax.conv_general_dilated(inputs, kernel, strides, padding, **options)

    def patches(inputs, kernel):
        return convolve_by_patches(inputs, kernel, strides, padding, **options)

    @jax.jit
    def both(inputs, kernel):
        results = []
        for function in (native, patches):
            value, pullback = jax.vjp(function, inputs, kernel)
            results.append((value, pullback(normal(2, value.shape))))
        return results

    expected, got = both(inputs, kernel)
    chex.assert_trees_all_close(expected, got, rtol=2e-5, atol=2e-5)


def test_convolution_layers_share_parameters():
    images = normal(0, (2, 5, 5, 3))
    layers = {name: convolution(4, stride=2, implementation=name) for name in ("native", "patches")}
    shapes = {name: jax.eval_shape(layer.init, jax.random.key(1), images) for name, layer in layers.items()}
    assert shapes["native"] == shapes["patches"]
    variables = filled(shapes["native"])
    outputs = {name: layer.apply(variables, images) for name, layer in layers.items()}
    assert outputs["native"].shape == (2, 3, 3, 4)
    np.testing.assert_allclose(outputs["native"], outputs["patches"], rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match=r"unknown convolution 'patch'. Did you mean 'patches'"):
        convolution(4, implementation="patch")
    with pytest.raises(ValueError, match="no dilation, and no groups of several channels or to several"):
        convolve_by_patches(images, jnp.ones((3, 3, 1, 6)), (1, 1), "SAME", feature_group_count=3)


def test_initial_kernels_are_those_of_he_et_al():
    """Drawn as a matrix, for the compiler's sake, and still the numbers that Linen draws for four dimensions."""
    key, shape = jax.random.key(3), (3, 2, 2, 4)
    np.testing.assert_array_equal(convolution(4).kernel_init(key, shape, "float32"), nn.initializers.he_normal()(key, shape))


@pytest.mark.parametrize("name", MODELS)
def test_every_network_gives_float32_logits(name):
    images = 1.0 + normal(1, (3, 8, 8, 2))
    exact, rough = (make_model(name, 5, {**SMALL[name], "dtype": dtype}) for dtype in ("float32", "bfloat16"))
    shapes = jax.eval_shape(exact.init, jax.random.key(1), images)
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}

    @jax.jit
    def outputs(variables):
        _, updated = exact.apply(variables, images, train=True, mutable=["batch_stats"])
        return exact.apply(variables, images), rough.apply(variables, images), updated

    variables = filled(shapes)
    expected, logits, updated = outputs(variables)
    assert logits.shape == (3, 5)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, expected, rtol=0.1, atol=0.3)
    assert (logits != expected).any(), "bfloat16 was not used"
    if name == "resnet20":
        before, after = (tree["batch_stats"]["BatchNorm_0"]["mean"] for tree in (variables, updated))
        assert (before == 0).all()
        assert (after != 0).all()


def test_resnet20_has_the_published_size():
    network = make_model("resnet20", 10)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    # Table 6 of the paper says 0.27M: 19 convolutions, their BatchNorm (scale and bias), and the dense layer.
    stages = sum(9 * (into * out + 5 * out * out) for into, out in ((16, 16), (16, 32), (32, 64)))
    norms = 2 * (7 * 16 + 6 * 32 + 6 * 64)
    assert count(shapes["params"]) == 9 * 3 * 16 + stages + norms + 64 * 10 + 10 == 269_722
    assert len(shapes["batch_stats"]) == 19


def test_shortcut_and_mean_pool():
    images = jnp.arange(2 * 5 * 4 * 1.0).reshape(2, 5, 4, 1)
    short = shortcut(images, 3, 2)
    assert short.shape == (2, 3, 2, 3)
    np.testing.assert_array_equal(short[..., 0], images[:, ::2, ::2, 0])
    np.testing.assert_array_equal(short[..., 1:], 0)
    np.testing.assert_allclose(mean_pool(images)[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet", {}, "unknown model 'resnet'. Did you mean 'resnet20'"),
        ("mlp", {"feature": (3,)}, "has no option 'feature'. Did you mean 'features'"),
        ("resnet20", {"depth": 21}, "6n . 2 layers"),
        ("small_cnn", {"downsampling": "max"}, "unknown downsampling"),
    ],
)
def test_networks_that_cannot_be(name, options, message):
    with pytest.raises(UserError, match=message) as error:
        make_model(name, 5, options).init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    assert "\n" not in str(error.value)
