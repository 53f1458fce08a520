"""Mean over n is global under data parallelism: value and gradient are those of one device, whatever each device's share."""

import functools

import jax
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import POPULATION_AXES, encode, stack
from tests.core.random_graphs import SETTINGS, SPATIAL, random_batch, random_graphs

ZERO = SETTINGS["autoloss_zero"]
LAYOUT = ZERO.layout
DEVICES = 2
SHAPE = (2 * DEVICES, *SPATIAL[1:])
FORMULA = "Mul(Exp(Mean_nhw(Mul(target, prediction))), Square(Add(prediction, Neg(Mean_nhw(Tanh(prediction))))))"


def share(loss, arrays, mask, weights, axis_name):
    """This device's share of the loss and the gradient of the whole with respect to this device's inputs."""

    def total(arrays):
        inputs = LossInputs.create(arrays, mask, weights)
        return mean_loss(loss(inputs, axis_name), inputs, axis_name)

    return jax.value_and_grad(total)(arrays)


def forms_of(graph):
    program = encode(graph, LAYOUT)
    return {
        "compiled": compile_graph(graph, LAYOUT.operators),
        "interpreted": lambda inputs, axis_name: interpret(program, LAYOUT, inputs, axis_name),
    }


def unequal_batch(seed):
    """Most void positions are on the first device."""
    batch = random_batch(seed, ZERO, SHAPE, masked=False)
    mask = np.random.default_rng(seed).random(batch.mask.shape) < 0.8
    mask[0, 1:] = False
    return {name: np.where(mask, array, np.nan) for name, array in batch.arrays.items()}, mask, batch.cotangent


def assert_devices_agree(loss, seed):
    arrays, mask, weights = unequal_batch(seed)
    counts = mask.reshape(DEVICES, -1).sum(1)
    assert counts[0] != counts[1]
    value, gradient = jax.jit(lambda *batch: share(loss, *batch, None))(arrays, mask, weights)
    split = jax.tree.map(lambda leaf: leaf.reshape(DEVICES, -1, *leaf.shape[1:]), (arrays, mask, weights))
    mapped = jax.pmap(lambda *batch: share(loss, *batch, "devices"), axis_name="devices", devices=jax.devices()[:DEVICES])
    shares, gradients = mapped(*split)
    np.testing.assert_allclose(np.sum(shares), value, rtol=1e-12)
    for name, whole in gradient.items():
        assert np.isfinite(whole).all()
        np.testing.assert_allclose(gradients[name].reshape(whole.shape), whole, rtol=1e-11, atol=1e-13)


@pytest.mark.skipif(jax.device_count() < DEVICES, reason="needs two devices")
@pytest.mark.parametrize("form", ["compiled", "interpreted"])
def test_two_devices_are_one(float64, form):
    graph = parse(FORMULA, LAYOUT.operators, LAYOUT.inputs)
    assert_devices_agree(forms_of(graph)[form], seed=1)


@pytest.mark.skipif(jax.device_count() < DEVICES, reason="needs two devices")
def test_a_local_mean_would_be_noticed(float64):
    loss = compile_graph(parse(FORMULA, LAYOUT.operators, LAYOUT.inputs), LAYOUT.operators)
    with pytest.raises(AssertionError):
        assert_devices_agree(lambda inputs, axis_name: loss(inputs, None), seed=1)


@pytest.mark.skipif(jax.device_count() < DEVICES, reason="needs two devices")
def test_a_population_on_two_devices(float64):
    graphs = [graph for graph in random_graphs(2, ZERO, 40) if "Mean_nhw" in str(graph)]
    programs = stack([encode(graph, LAYOUT) for graph in graphs])
    arrays, mask, weights = unequal_batch(3)

    def population(axis_name):
        def one(program, arrays, mask, weights):
            loss = functools.partial(interpret, program, LAYOUT)
            return share(loss, arrays, mask, weights, axis_name)

        return jax.vmap(one, in_axes=(POPULATION_AXES, None, None, None))

    values, gradients = jax.jit(population(None))(programs, arrays, mask, weights)
    split = jax.tree.map(lambda leaf: leaf.reshape(DEVICES, -1, *leaf.shape[1:]), (arrays, mask, weights))
    mapped = jax.pmap(population("devices"), "devices", in_axes=(None, 0, 0, 0), devices=jax.devices()[:DEVICES])
    shares, split_gradients = mapped(programs, *split)
    well_conditioned = np.abs(values) < 1e6
    assert well_conditioned.sum() > 5
    np.testing.assert_allclose(np.sum(shares, axis=0)[well_conditioned], values[well_conditioned], rtol=1e-8)
    for name, whole in gradients.items():
        joined = np.moveaxis(np.asarray(split_gradients[name]), 0, 1).reshape(whole.shape)
        np.testing.assert_allclose(joined[well_conditioned], whole[well_conditioned], rtol=1e-6, atol=1e-8)
