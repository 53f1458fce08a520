"""Graphs as arrays: encoding, decoding, stacking, and what does not fit."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxloss.core.types import Granularity
from jaxloss.graphs.formula import parse
from jaxloss.graphs.program import ProgramOverflow, decode, encode, stack
from tests.core.random_graphs import MAX_OPERATORS, SETTINGS, random_graphs

ZERO, GMS, CSE = SETTINGS.values()


def read(text, setting):
    return parse(text, setting.layout.operators, setting.layout.inputs)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_decoding_inverts_encoding(setting):
    for graph in random_graphs(1, setting, 1000):
        program = encode(graph, setting.layout)
        again = decode(program, setting.layout)
        assert again.key(setting.layout.operators) == graph.key(setting.layout.operators)
        assert all(map(np.array_equal, jax.tree.leaves(encode(again, setting.layout)), jax.tree.leaves(program)))


def test_fields_have_fixed_shapes_and_types():
    for setting in SETTINGS.values():
        layout = setting.layout
        programs = [encode(graph, layout) for graph in random_graphs(2, setting, 50)]
        assert len({tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(program)) for program in programs}) == 1


def test_no_gradient_opcodes_behind_detach():
    program = encode(read("Mul(Detach(Exp(Sin(cosine))), Sin(cosine))", GMS), GMS.layout)
    names = [GMS.layout.operators.operators[code - 1].name if code else None for code in program.backward_opcodes[:4]]
    # Exp serves the detached factor only, Sin both.
    assert names == ["Sin", None, "Detach", "Mul"]


def test_operators_on_values_per_sample_are_replaced():
    opcodes = CSE.layout.operators.opcodes
    on_samples = encode(read("Dot(Softmax(w), Dot(x, y))", CSE), CSE.layout)
    assert list(on_samples.opcodes[:3]) == [opcodes["SoftmaxOfSample"], opcodes["Dot"], opcodes["DotOfSample"]]
    assert on_samples.per_sample
    on_elements = encode(read("Dot(Softmax(x), y)", CSE), CSE.layout)
    assert list(on_elements.opcodes[:2]) == [opcodes["Softmax"], opcodes["Dot"]]


def test_granularities():
    graph = read("Add(Mul(w, 2), Add(Dot(x, y), x))", CSE)
    granularities = graph.granularities(CSE.layout.operators, frozenset({"w"}))
    kinds = dict(zip((node.name for node in graph.nodes), granularities, strict=True))
    assert kinds["Mul"] is kinds["Dot"] is kinds["w"] is Granularity.SAMPLE
    assert kinds["Add"] is kinds["x"] is Granularity.ELEMENT


def test_what_does_not_fit_overflows():
    exactly_full = "Neg(" * MAX_OPERATORS + "prediction" + ")" * MAX_OPERATORS
    assert encode(read(exactly_full, ZERO), ZERO.layout).length == MAX_OPERATORS
    with pytest.raises(ProgramOverflow, match="17 operators"):
        encode(read(f"Exp({exactly_full})", ZERO), ZERO.layout)
    with pytest.raises(ProgramOverflow, match="2 constants"):
        encode(read("Add(1, 2)", ZERO), ZERO.layout)


def test_equal_expressions_take_one_slot():
    program = encode(read("Add(Add(Exp(target), 1), Mul(Exp(target), Add(Exp(target), 1)))", ZERO), ZERO.layout)
    assert program.length == 4


def test_stacking_takes_the_longest_length():
    programs = [encode(graph, ZERO.layout) for graph in random_graphs(3, ZERO, 10)]
    population = stack(programs)
    assert population.length == max(program.length for program in programs)
    assert population.length.shape == ()
    row = jax.tree.map(lambda leaf: leaf[4], dataclasses.replace(population, length=np.zeros(10)))
    assert np.array_equal(row.operands, programs[4].operands)
