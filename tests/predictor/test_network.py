"""The network of the performance predictor."""

import jax
import jax.numpy as jnp
import pytest

from jaxloss.systems.autoloss_gms.predictor.resnet1d import ResNet1D

SHAPE = (1, 257, 3)


def shapes(**options):
    return jax.eval_shape(ResNet1D(**options).init, jax.random.key(0), jax.ShapeDtypeStruct(SHAPE, jnp.float32))


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_the_papers_network_has_sixteen_million_parameters():
    """Counted by hand: ResNet-50 with kernels of 7 and 3 in the place of 7 x 7 and 3 x 3, and one output."""
    normalised = [64] + [64, 64, 256] * 3 + [128, 128, 512] * 4 + [256, 256, 1024] * 6 + [512, 512, 2048] * 3
    shortcuts = [(64, 256), (256, 512), (512, 1024), (1024, 2048)]
    kernels = 7 * 3 * 64 + sum(before * after for before, after in shortcuts)
    entering = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for _ in range(blocks):
            kernels += entering * width + 3 * width * width + width * 4 * width
            entering = 4 * width
    expected = kernels + 2 * (sum(normalised) + sum(after for _, after in shortcuts)) + 2048 + 1
    assert count(shapes(depth=50, width=64)["params"]) == expected == 15_957_185


@pytest.mark.parametrize("depth", [10, 18, 34, 50])
def test_depth_counts_the_layers_on_the_way(depth):
    params = shapes(depth=depth, width=2)["params"]
    shortcuts = 4 if depth == 50 else 3
    assert sum(name.startswith("Conv") for name in params) + 1 == depth + shortcuts
    assert params["Dense_0"]["kernel"].shape == ((64 if depth == 50 else 16), 1)


def test_hidden_layers_stand_before_the_output():
    params = shapes(depth=10, width=2, hidden=(5, 3))["params"]
    assert [params[f"Dense_{place}"]["kernel"].shape for place in range(3)] == [(16, 5), (5, 3), (3, 1)]


@pytest.mark.parametrize("depth", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_one_number_for_each_loss_of_any_resolution(depth):
    for points in (33, 257):
        network, curves = ResNet1D(depth, 2), jax.ShapeDtypeStruct((5, points, 3), jnp.float32)
        variables = jax.eval_shape(network.init, jax.random.key(0), curves)
        output = jax.eval_shape(network.apply, variables, curves)
        assert (output.shape, output.dtype) == ((5,), jnp.float32)
