"""Populations: rows are independent, unused slots do not matter, other programs compile nothing, constants have gradients."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.graphs.formula import parse
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import NUM_SLOTS, POPULATION_AXES, encode, shortened, stack
from tests.core import forms
from tests.core.random_graphs import FLAT, SETTINGS, random_batch, random_graphs

ZERO, GMS, CSE = SETTINGS.values()
every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)

HEALTHY = {
    "autoloss_zero": ["Neg(Mul(target, Log(prediction)))", "Square(Add(prediction, Neg(target)))"],
    "autoloss_gms": ["Add(cosine, 0.5)", "Sig(Mul(cosine, Exp(cosine)))"],
    "cse_autoloss": ["Neg(Dot(Mul(w, y), Log(Softmax(x))))", "Sub(Sig(x), y)"],
}
# Infinite or NaN somewhere, in value or in slope.
POISON = {
    "autoloss_zero": ["Exp(Exp(Exp(Exp(Exp(prediction)))))", "Exp(Inv(target))", "Mul(target, Exp(Inv(target)))"],
    "autoloss_gms": [
        "Sqrt(Neg(Exp(cosine)))",
        "Inv(Minus(cosine, cosine))",
        "Arcsin(Exp(Exp(cosine)))",
        "Sqrt(Abs(Minus(cosine, cosine)))",
    ],
    "cse_autoloss": ["Sqrt(Sub(y, 1))", "Sqrt(Mul(x, Sub(w, w)))", "Sqrt(Sub(Sin(x), 2))"],
}


# Lanes of most populations here, so that they share a program.
NUM_LANES = 60


def read(texts, setting):
    return [parse(text, setting.layout.operators, setting.layout.inputs) for text in texts]


def rows(evaluated, indices):
    return jax.tree.map(lambda leaf: leaf[np.asarray(indices)], evaluated)


def assert_identical(one, other):
    chex.assert_trees_all_equal(one, other)


@every_setting
def test_poison_stays_in_its_row(float64, setting):
    healthy, poison = read(HEALTHY[setting.name], setting), read(POISON[setting.name], setting)
    batch = random_batch(1, setting, FLAT, masked=True)
    others = [healthy[0]] * (NUM_LANES - len(healthy) - len(poison))
    poisoned = forms.population([*healthy, *poison, *others], setting, batch)
    clean = forms.population([*healthy, *[healthy[0]] * len(poison), *others], setting, batch)
    kept = [row for row in range(NUM_LANES) if not 0 <= row - len(healthy) < len(poison)]
    assert_identical(rows(poisoned, kept), rows(clean, kept))
    # What is said to be healthy or poisonous is so.
    finite = [np.isfinite(leaf).reshape(len(leaf), -1).all(1) for leaf in jax.tree.leaves(poisoned[1])]
    assert np.flatnonzero(np.all(finite, axis=0)).tolist() == kept


@every_setting
def test_rows_do_not_influence_each_other(float64, setting):
    graphs, others = random_graphs(2, setting, NUM_LANES), random_graphs(3, setting, NUM_LANES)
    batch = random_batch(4, setting, FLAT, masked=True)
    kept = np.arange(0, NUM_LANES, 7)
    mixed = [graphs[i] if i in kept else others[i] for i in range(NUM_LANES)]
    assert_identical(
        rows(forms.population(graphs, setting, batch), kept),
        rows(forms.population(mixed, setting, batch), kept),
    )


@every_setting
def test_unused_slots_do_not_matter(float64, setting):
    graphs = random_graphs(5, setting, NUM_LANES)
    batch = random_batch(6, setting, FLAT, masked=True)
    layout = dataclasses.replace(
        setting.layout, max_instructions=setting.layout.max_instructions + 7, max_constants=setting.layout.max_constants + 2
    )
    larger = dataclasses.replace(setting, layout=layout)
    assert_identical(forms.population(graphs, setting, batch), forms.population(graphs, larger, batch))


@pytest.mark.slow
@every_setting
def test_a_loop_over_all_slots_gives_the_same_bits(float64, setting):
    """As on an accelerator, where the number of trips is known; slots that nobody uses are left out."""
    graphs = [graph for graph in random_graphs(7, setting, 200) if graph.merged().num_operators <= NUM_SLOTS[0]][:NUM_LANES]
    batch = random_batch(8, setting, FLAT, masked=True)
    programs = stack([encode(graph, setting.layout) for graph in graphs])
    short = shortened(programs)
    assert short.opcodes.shape == (NUM_LANES, NUM_SLOTS[0])
    assert shortened(dataclasses.replace(programs, length=9)).opcodes.shape == programs.opcodes.shape == (NUM_LANES, 16)

    def one(program):
        return forms.value_and_gradient(lambda inputs: interpret(program, setting.layout, inputs, all_slots=True), batch)

    found = jax.jit(jax.vmap(one, in_axes=(POPULATION_AXES,)), compiler_options=forms.EMITTERS)(short)
    assert_identical(found, forms.population(graphs, setting, batch))


@every_setting
def test_other_programs_compile_nothing(setting):
    batch = random_batch(7, setting, FLAT, masked=True, dtype=np.float32)
    compilations = []

    def count(event: str, duration: float, **details) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compilations.append(details)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        jax.jit(lambda x: x + len(setting.name))(np.float32(1))
        assert compilations, "the event that this test counts is gone"
        forms.population(random_graphs(8, setting, 10), setting, batch)
        compilations.clear()
        for seed in range(9, 12):
            forms.population(random_graphs(seed, setting, 10), setting, batch)
        assert not compilations
    finally:
        jax.monitoring.unregister_event_duration_listener(count)


@every_setting
def test_inputs_and_constants_are_programs_too(float64, setting):
    name = setting.layout.inputs[0]
    batch = random_batch(9, setting, FLAT, masked=False)
    value = setting.constants[0]
    values, gradients = forms.population(read([name, str(value)] * (NUM_LANES // 2), setting), setting, batch)
    np.testing.assert_array_equal(values[0], batch.arrays[name])
    np.testing.assert_array_equal(gradients[name][0], np.broadcast_to(batch.cotangent, values[0].shape))
    # A constant is one value per sample: its shares of C channels add up to it.
    np.testing.assert_allclose(values[1].sum(-1), value, rtol=1e-12)
    np.testing.assert_array_equal(gradients[name][1], 0)


def test_constants_have_gradients(float64):
    """d/dc of the sum of (c x)^2 is 2 c sum(x^2), over valid positions; none passes a Detach."""
    program = encode(read(["Square(Mul(0.3, cosine))"], GMS)[0], GMS.layout)
    detached = encode(read(["Mul(Detach(0.3), cosine)"], GMS)[0], GMS.layout)
    batch = random_batch(10, GMS, FLAT, masked=True)

    def total(constants, program):
        inputs = LossInputs.create(batch.arrays, jnp.asarray(batch.mask))
        values = interpret(dataclasses.replace(program, constants=constants), GMS.layout, inputs)
        return jnp.sum(jnp.where(batch.mask, values, 0))

    gradient_of = jax.jit(jax.grad(total))
    gradient = gradient_of(jnp.asarray(program.constants), program)
    valid = batch.arrays["cosine"][batch.mask[..., 0]]
    np.testing.assert_allclose(gradient[0], 2 * 0.3 * np.sum(valid**2), rtol=1e-12)
    np.testing.assert_array_equal(gradient[1:], 0)
    np.testing.assert_array_equal(gradient_of(jnp.asarray(detached.constants), detached), 0)


def test_void_positions_do_not_poison_constants(float64):
    """At a void position the loss is computed from a filler, here at the pole of 1 / (x - 1/2)."""
    program = encode(read(["Mul(0.3, Inv(Minus(cosine, 0.5)))"], GMS)[0], GMS.layout)
    mask = jnp.asarray([True, False]).reshape(2, 1, 1, 1)
    arrays = {"cosine": jnp.asarray([0.75, 0.5]).reshape(2, 1, 1, 1)}

    def total(constants):
        values = interpret(dataclasses.replace(program, constants=constants), GMS.layout, LossInputs.create(arrays, mask))
        return jnp.sum(jnp.where(mask, values, 0))

    gradient = jax.jit(jax.grad(total))(jnp.asarray(program.constants))
    np.testing.assert_allclose(gradient[:2], [4, 0.3 * 16], rtol=1e-12)


def test_one_batch_per_row(float64):
    """Population and inputs may be mapped together, as when every candidate has its own network."""
    graphs = random_graphs(11, ZERO, 6)
    batches = [random_batch(12 + i, ZERO, FLAT, masked=False) for i in range(6)]
    population = stack([encode(graph, ZERO.layout) for graph in graphs])
    arrays = jax.tree.map(lambda *leaves: np.stack(leaves), *[batch.arrays for batch in batches])

    def one(program, arrays):
        return interpret(program, ZERO.layout, LossInputs.create(arrays))

    together = jax.jit(jax.vmap(one, in_axes=(POPULATION_AXES, 0)))(population, arrays)
    for graph, batch, row in zip(graphs, batches, together, strict=True):
        runs = forms.expected([graph], ZERO, batch, spread=False)[0]
        assert not forms.compare(np.asarray(row)[None], runs, batch.mask).wrong.any()
