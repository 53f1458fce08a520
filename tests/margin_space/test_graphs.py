"""Random graphs of curves (Algorithm 1) and their mutations."""

import collections
import dataclasses

import numpy as np
import pytest

from jaxloss.graphs.graph import Graph
from jaxloss.systems.autoloss_gms import dags
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from tests.margin_space.losses import BRANCH, FORM, SPACE

VOCABULARY = dags.Vocabulary(AUTOLOSS_GMS.visible, "x", (0.1, 0.2, 0.3), num_constants=2, max_operators=10)


# --- random graphs (Algorithm 1) -----------------------------------------------------------------------------------------------


def test_random_graphs_have_the_numbers_of_table_2():
    scales, constants = set(), set()
    for seed in range(300):
        loss = SPACE.sample(np.random.default_rng(seed), BRANCH)
        scales.add(loss.log2_scale)
        for graph in (loss.own, loss.other):
            constants |= {node.value for node in graph.nodes if node.is_constant}
            draft = dags.from_graph(np.random.default_rng(0), VOCABULARY, graph)
            assert len(draft.operators) <= 10
            assert "x" in graph.input_names  # whatever is left over is joined at the output
            assert len({node.value for node in graph.nodes if node.is_constant}) <= 2
    assert scales == {0.5 * k for k in range(1, 21)}
    assert {round(20 * value) for value in constants} == set(range(1, 21))


def test_every_pair_of_operator_and_operands_is_equally_likely():
    """Algorithm 1 draws from the enumerated set: with three nodes, 3 pairs for an operator of one operand, 9 for one of two."""
    vocabulary = dataclasses.replace(VOCABULARY, num_constants=2, max_operators=1)
    counts = collections.Counter()
    for seed in range(3000):
        graph = dags.random_graph(np.random.default_rng(seed), vocabulary)
        names = [node.name for node in graph.nodes if node.is_operator]
        # The operator that was drawn, among the Adds that join what is left over.
        counts[next((name for name in names if name != "Add"), "Add")] += 1
    binary = sum(counts[name] for name in ("Minus", "Mul", "Div"))
    assert binary / 3000 == pytest.approx(3 * 9 / (20 * 3 + 4 * 9), abs=0.03)
    assert counts["Exp"] / 3000 == pytest.approx(3 / 96, abs=0.01)


# --- mutations -----------------------------------------------------------------------------------------------------------------


def draft_of(text):
    return dags.from_graph(np.random.default_rng(0), VOCABULARY, FORM.parse(f"t: {text} | n: x | log2_s: 1").own)


def test_the_sum_at_the_end_is_no_operator():
    draft = draft_of("Add(Add(Sin(x), Mul(x, 0.1)), Exp(Add(x, 0.1)))")
    assert [draft.nodes[i].name for i in draft.operators] == ["Sin", "Mul", "Add", "Exp"]
    assert [draft.nodes[i].name for i in draft.terms] == ["Sin", "Mul", "Exp"]
    assert len(draft.constants) == 2  # one in the formula, and a fresh one beside it


def outcomes(mutation, text, number=400):
    found = collections.Counter()
    for seed in range(number):
        draft = draft_of(text)
        valid = mutation(np.random.default_rng(seed), VOCABULARY, draft)
        found[str(draft.to_graph()) if valid else None] += 1
    return found


def test_deletion_leaves_an_operand():
    assert set(outcomes(dags.delete, "Minus(Sin(x), 0.1)")) == {"Sin(x)", "0.1", "Minus(x, 0.1)"}


def test_insertion_puts_an_operator_on_an_edge():
    for text in outcomes(dags.insert, "Sin(x)"):
        graph = FORM.parse(f"t: {text} | n: x | log2_s: 1").own
        names = [node.name for node in graph.nodes if node.is_operator]
        assert "Sin" in names
        assert len(names) == 2


def test_insertion_is_not_valid_in_a_full_graph():
    full = "Sin(" * 10 + "x" + ")" * 10
    assert set(outcomes(dags.insert, full, 20)) == {None}


def test_replacement_keeps_operands_as_far_as_the_arities_go():
    shapes = collections.Counter()
    for text in outcomes(dags.replace, "Minus(Sin(x), 0.1)"):
        graph = FORM.parse(f"t: {text} | n: x | log2_s: 1").own
        top = graph.nodes[-1]
        shapes[len(top.operands)] += 1
        if len(top.operands) == 2 and top.name != "Minus":
            assert {graph.nodes[i].name for i in top.operands} <= {"Sin", "const", "x"}
    assert set(shapes) == {1, 2}


def test_a_second_operand_is_any_node_before_it_on_either_side():
    """An insertion behind Sin may read Sin itself and the constants beside the graph; a replacement reads what Sin could."""
    draft = draft_of("Sin(x)")
    leaves = {"x", *(f"{draft.nodes[index].value:g}" for index in draft.constants)}
    assert len(leaves) == 3
    for mutation, first in ((dags.insert, "Sin(x)"), (dags.replace, "x")):
        found = {text for text in outcomes(mutation, "Sin(x)", 1500) if text.startswith(("Minus", "Div"))}
        operands = {text.removeprefix("Minus").removeprefix("Div") for text in found}
        assert operands == {pair for leaf in leaves for pair in (f"({first}, {leaf})", f"({leaf}, {first})")}
    assert any("(t1, t1)" in text for text in outcomes(dags.insert, "Sin(x)", 400))


def test_the_three_mutations_are_equally_likely():
    """From a graph of two operators one is taken away, one comes, or their number stays."""
    graph = FORM.parse("t: Sin(Exp(x)) | n: x | log2_s: 1").own
    counts = collections.Counter()
    for seed in range(1500):
        random = np.random.default_rng(seed)
        draft = dags.from_graph(random, VOCABULARY, graph)
        dags.mutate_structure(random, VOCABULARY, draft)
        counts[len(draft.operators)] += 1
    assert set(counts) == {1, 2, 3}
    assert max(abs(count / 1500 - 1 / 3) for count in counts.values()) < 0.05


def test_drafts_stay_graphs_through_many_mutations():
    """Operands come before what reads them, n_o is kept, and the text form comes back."""
    for seed in range(60):
        random = np.random.default_rng(seed)
        graph = dags.random_graph(random, VOCABULARY)
        for _ in range(12):
            draft = dags.from_graph(random, VOCABULARY, graph)
            dags.mutate_structure(random, VOCABULARY, draft)
            for index, node in enumerate(draft.nodes):
                assert all(operand < index for operand in node.operands)
            assert len(draft.operators) <= 10
            graph = draft.to_graph()
            assert Graph.build(graph.nodes) == graph
            FORM.encode(dataclasses.replace(FORM.parse("t: x | n: x | log2_s: 1"), own=graph))


def test_one_curve_at_a_time_is_made_smaller():
    loss = FORM.parse("t: Add(x, Sin(0.1)) | n: Exp(x) | log2_s: 1")
    texts = [FORM.write(one) for one in FORM.smaller(loss)]
    assert {"t: x | n: Exp(x) | log2_s: 1", "t: Add(x, Sin(0.1)) | n: x | log2_s: 1"} <= set(texts)
    assert all(text.endswith("| log2_s: 1") and ("Sin(0.1)" in text or "n: Exp(x)" in text) for text in texts)
    sizes = [one.own.tree_size + one.other.tree_size for one in FORM.smaller(loss)]
    assert sizes == sorted(sizes)
    assert FORM.smaller(FORM.parse("t: x | n: x | log2_s: 1")) == []
