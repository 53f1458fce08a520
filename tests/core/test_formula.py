"""The text form and the canonical key of graphs."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxloss.graphs.formula import MAX_DEPTH, MAX_LENGTH, MAX_NODES, FormulaError, parse
from jaxloss.graphs.graph import Graph, Node, constant
from tests.core.random_graphs import SETTINGS, graphs, random_graphs

ZERO, GMS, CSE = SETTINGS.values()
every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)


def read(text: str, setting=ZERO) -> Graph:
    return parse(text, setting.layout.operators, setting.layout.inputs)


def canonical(graph: Graph, setting) -> str:
    """The formula without sharing and with commutative operands sorted: a second way to say which graphs are equal."""
    written: list[str] = []
    for node in graph.nodes:
        operands = [written[i] for i in node.operands]
        if node.is_operator and setting.layout.operators[node.name].commutative:
            operands.sort()
        written.append(f"{node.name}{node.value or ''}({' '.join(operands)})")
    return written[-1]


def with_swapped_operands(graph: Graph, setting) -> Graph:
    commutes = [node.is_operator and setting.layout.operators[node.name].commutative for node in graph.nodes]
    nodes = [
        Node(node.name, node.operands[::-1] if swap else node.operands, node.value)
        for node, swap in zip(graph.nodes, commutes, strict=True)
    ]
    return Graph.build(nodes)


@every_setting
def test_reading_inverts_writing(setting):
    for graph in random_graphs(1, setting, 1500):
        again = read(str(graph), setting)
        assert str(again) == str(graph)
        assert again.merged() == graph.merged()
        assert again.key(setting.layout.operators) == graph.key(setting.layout.operators)
        assert again.canonical(setting.layout.operators) == graph.canonical(setting.layout.operators)


def test_a_leaf_that_two_read_is_read_as_two_leaves():
    """The text does not tell them apart: equal are the merged graphs, see `parse`."""
    graph = Graph.build([Node("cosine"), Node("Exp", (0,)), Node("Add", (1, 1)), Node("Add", (2, 0)), Node("Add", (3, 1))])
    again = read(str(graph), GMS)
    assert str(graph) == "t1 = Exp(cosine); Add(Add(Add(t1, t1), cosine), t1)"
    assert again != graph
    assert again == read(str(again), GMS)
    assert again.merged() == graph.merged() == graph


@every_setting
def test_key_ignores_commutation_and_sharing(setting):
    operators = setting.layout.operators
    for graph in random_graphs(2, setting, 500):
        assert with_swapped_operands(graph, setting).key(operators) == graph.key(operators)
        assert graph.merged().key(operators) == graph.key(operators)


@every_setting
def test_key_tells_different_formulas_apart(setting):
    key_of: dict[str, str] = {}
    for graph in random_graphs(3, setting, 1500):
        key_of.setdefault(canonical(graph, setting), graph.key(setting.layout.operators))
        assert key_of[canonical(graph, setting)] == graph.key(setting.layout.operators)
    assert len(set(key_of.values())) == len(key_of) > 500


@given(graphs(GMS))
@settings(max_examples=200, deadline=None)
def test_merging_keeps_the_formula(graph):
    merged = graph.merged()
    assert merged.key(GMS.layout.operators) == graph.key(GMS.layout.operators)
    assert len(set(merged.nodes)) == len(merged.nodes)
    assert merged.merged() == merged
    assert merged.depth == graph.depth


def test_shared_nodes_are_named_once():
    text = "t1 = Exp(prediction); t2 = Add(t1, 1); Mul(t2, Mul(t1, t2))"
    graph = read(text)
    assert str(graph) == text
    assert (graph.num_operators, graph.depth) == (4, 4)


def test_names_of_shared_nodes_avoid_inputs():
    graph = parse("s = Exp(t1); Mul(s, s)", GMS.layout.operators, ("t1",))
    assert str(graph) == "t2 = Exp(t1); Mul(t2, t2)"


def test_operand_order_counts_where_it_matters():
    keys = {read(text, GMS).key(GMS.layout.operators) for text in ("Minus(cosine, 1)", "Minus(1, cosine)", "Add(1, cosine)")}
    assert len(keys) == 3


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -1.0, 0.1, 1e-12, 12345678901234567890.0, 3e38, 5e-324, -2.5e-7])
def test_numbers_survive_writing(value):
    graph = Graph.build([Node("cosine"), constant(value), Node("Add", (0, 1))])
    again = read(str(graph), GMS)
    assert again == graph
    assert again.key(GMS.layout.operators) == graph.key(GMS.layout.operators)


def test_random_numbers_survive_writing():
    for value in np.random.default_rng(4).normal(size=500) * 10.0 ** np.linspace(-300, 37, 500).round():
        assert read(str(Graph.build([constant(value)])), GMS).nodes[0].value == value


# Formula, the character (from 0) that the error points at, and what it says.
BAD = [
    ("", 0, "the formula is empty"),
    ("   ", 3, "the formula is empty"),
    ("Log", 0, "unknown input 'Log'"),
    ("Log(", 4, "found 'the end'"),
    ("Log()", 4, "found ')'"),
    ("Log(prediction", 14, "expected ')' but found 'the end'"),
    ("Log(prediction))", 15, "unexpected ')' after the end"),
    ("Log(prediction, target)", 0, "Log takes 1 operand, not 2"),
    ("Neg(Add(target))", 4, "Add takes 2 operands, not 1"),
    ("Neg(Lgo(target))", 4, "unknown operator 'Lgo' in the set autoloss_zero; Did you mean 'Log'?"),
    ("Add(prediction, tarqet)", 16, "unknown input 'tarqet'; Did you mean 'target'?"),
    ("Neg(target) target", 12, "unexpected 'target' after the end"),
    ("Add(target prediction)", 11, "expected ')'"),
    ("Add(target, $)", 12, "unexpected character '$'"),
    ("Neg(1 - target)", 6, "unexpected character '-'"),
    ("Exp(1e999)", 4, "the number 1e999 is out of range"),
    ("Add(prediction, -3.5e38)", 16, "the number -3.5e38 is out of range: single precision ends at 3.4028235e+38"),
    ("Exp(Inf)", 4, "unknown input 'Inf'"),
    ("t1 = Exp(target)", 16, "expected ';'"),
    ("t1 = ; t1", 5, "expected an operator, an input or a number but found ';'"),
    ("t1 = Exp(t1); t1", 9, "unknown input 't1'"),
    ("unused = Exp(target); Neg(prediction)", 0, "'unused' is assigned and never used"),
    ("t1 = Exp(target); t1 = Neg(t1); t1", 18, "'t1' is assigned twice"),
    ("target = Exp(target); target", 0, "'target' is an input and cannot be assigned"),
    ("Neg(t = target)", 4, "unknown input 't'"),
    ("t1 = Exp(target);", 17, "found 'the end'"),
    (";", 0, "found ';'"),
    ("Neg(" * (MAX_DEPTH + 2) + "target", 4 * MAX_DEPTH + 4, f"nested deeper than {MAX_DEPTH}"),
    ("Add(target, ٣)", 12, "unexpected character '٣'"),
    ("Add(target, 1٣)", 13, "unexpected character '٣'"),
    ("Exp(1e٣)", 5, "expected ')' but found 'e٣'"),
    ("Neg(" * 62_500 + "target", MAX_LENGTH, f"longer than {MAX_LENGTH} characters"),
    ("".join(f"t{n:04} = target; " for n in range(2 * MAX_NODES)), 16 * MAX_NODES + 8, f"more than {MAX_NODES} nodes"),
]


@pytest.mark.parametrize(("text", "position", "message"), BAD, ids=[text[:30] for text, _, _ in BAD])
def test_bad_formula_is_located(text, position, message):
    with pytest.raises(FormulaError) as caught:
        read(text)
    assert message in str(caught.value)
    assert caught.value.position == position
    assert f"character {position + 1}:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_formula_is_refused_at_once():
    """Its depth is found where it begins, and its length before anything else: neither takes time that grows with the square."""
    for text in ("Neg(" * 62_500, "Neg(" * (MAX_LENGTH // 4), " " * 250_000, "1 " * (MAX_LENGTH // 2)):
        began = time.process_time()
        with pytest.raises(FormulaError):
            read(text)
        assert time.process_time() - began < 0.5


def test_hidden_operators_cannot_be_written():
    with pytest.raises(FormulaError, match="unknown operator 'SoftmaxOfSample'"):
        read("SoftmaxOfSample(w)", CSE)


FRAGMENTS = [*"xyw(),;= \n1.e_²é٣", "Log", "Add", "Softmax", "t1", "-2.5e3"]


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_formula_or_a_formula_error(text):
    try:
        graph = read(text, CSE)
    except FormulaError as error:
        position = error.position
    else:
        position = 0
        assert read(str(graph), CSE).key(CSE.layout.operators) == graph.key(CSE.layout.operators)
    assert 0 <= position <= len(text)
