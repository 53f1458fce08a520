"""Random trees, their mutations and the offspring of AutoLoss-Zero, as Section 3.2 of the paper says."""

import collections
import itertools

import numpy as np
import pytest
from scipy import stats

from jaxloss.core.errors import UserError
from jaxloss.graphs import trees
from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.program import encode
from jaxloss.graphs.trees import Tree
from jaxloss.systems.autoloss_zero import edits
from jaxloss.systems.autoloss_zero import space as space_module
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import COPY, MUTATION, REINITIALISE, autoloss_zero

SPACE = autoloss_zero()
(BRANCH,) = SPACE.branches
LEAVES = (Node("prediction"), Node("target"), constant(1.0))
VOCABULARY = trees.Vocabulary(AUTOLOSS_ZERO.visible, LEAVES)
UNLIKELY = 1e-4  # below this p-value a draw is not uniform; the seeds are fixed


def formula(tree):
    return str(trees.to_graph(tree))


def operators_per_path(tree):
    if not tree.children:
        return {0}
    return {1 + length for child in tree.children for length in operators_per_path(child)}


def read(text):
    return SPACE.parse(text)[BRANCH.name]


def outcomes(mutation, text, draws=400):
    """Every result of one mutation of a formula, as text, with how often it came."""
    found = collections.Counter()
    for seed in range(draws):
        root = Tree(trees.ROOT, [trees.from_graph(read(text))])
        assert mutation(np.random.default_rng(seed), VOCABULARY, root)
        assert root.node == trees.ROOT
        assert len(root.children) == 1
        found[formula(root.children[0])] += 1
    return found


def is_uniform(counts, choices):
    assert set(counts) == set(choices)
    return stats.chisquare([counts[choice] for choice in choices]).pvalue > UNLIKELY


UNARY = [operator.name for operator in VOCABULARY.operators if operator.arity == 1]
BINARY = [operator.name for operator in VOCABULARY.operators if operator.arity == 2]
INPUTS = ("prediction", "target", "1")


# --- random initialisation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_every_path_holds_depth_operators(depth):
    for seed in range(100):
        assert operators_per_path(trees.from_graph(trees.random_tree(np.random.default_rng(seed), VOCABULARY, depth))) == {depth}


def test_operators_and_leaves_are_uniform():
    counts = {True: collections.Counter(), False: collections.Counter()}
    for seed in range(3000):
        for node in SPACE.sample(np.random.default_rng(seed), BRANCH).nodes:
            counts[node.is_operator][node.name, node.value] += 1
    assert is_uniform(counts[True], [(operator.name, None) for operator in AUTOLOSS_ZERO.operators])
    assert is_uniform(counts[False], [(node.name, node.value) for node in LEAVES])


def test_the_paper_has_fourteen_operators():
    assert len(VOCABULARY.operators) == 14
    assert BINARY == ["Add", "Mul"]


# --- mutation: every result that the paper allows, and no other --------------------------------------------------------------


def test_insertion_comes_between_a_node_and_its_parent():
    """All nodes but the root may be chosen; a second operand is a random input, and the tree stays beneath."""
    found = outcomes(trees.insert, "Neg(target)", draws=2000)
    wrapped = {f"{name}(Neg(target))": f"Neg({name}(target))" for name in UNARY}
    above = {f"{name}(Neg(target), {leaf})" for name in BINARY for leaf in INPUTS}
    below = {f"Neg({name}(target, {leaf}))" for name in BINARY for leaf in INPUTS}
    assert set(found) == {*wrapped.keys(), *wrapped.values()} | above | below
    assert 0.4 < sum(found[text] for text in {*wrapped.keys(), *above}) / 2000 < 0.6


def test_deletion_keeps_one_child():
    """Operators only; one of the children, at random, becomes the child of the parent."""
    found = outcomes(trees.delete, "Add(Neg(prediction), target)", draws=1200)
    assert set(found) == {"Neg(prediction)", "target", "Add(prediction, target)"}
    assert stats.chisquare([found["Neg(prediction)"] + found["target"], found["Add(prediction, target)"]]).pvalue > UNLIKELY
    assert stats.chisquare([found["Neg(prediction)"], found["target"]]).pvalue > UNLIKELY


def test_deletion_can_leave_a_bare_input():
    assert set(outcomes(trees.delete, "Neg(prediction)")) == {"prediction"}


def test_deletion_of_a_bare_input_does_nothing():
    root = Tree(trees.ROOT, [Tree(Node("prediction"))])
    assert not trees.delete(np.random.default_rng(0), VOCABULARY, root)
    assert formula(root.children[0]) == "prediction"


def test_replacement_keeps_a_random_subset_of_the_children():
    """Of two children of `Add` an operator of arity one keeps either; an operator of arity two keeps both, in order."""
    found = outcomes(trees.replace, "Add(prediction, target)", draws=3000)
    kept = {f"{name}({leaf})": leaf for name in UNARY for leaf in ("prediction", "target")}
    both = {f"{name}(prediction, target)" for name in BINARY}
    # A leaf is a node too: the operator that replaces it takes random inputs.
    first = {f"Add({name}({leaf}), target)" for name in UNARY for leaf in INPUTS}
    first |= {f"Add({name}({x}, {y}), target)" for name in BINARY for x, y in itertools.product(INPUTS, INPUTS)}
    second = {f"Add(prediction, {name}({leaf}))" for name in UNARY for leaf in INPUTS}
    second |= {f"Add(prediction, {name}({x}, {y}))" for name in BINARY for x, y in itertools.product(INPUTS, INPUTS)}
    assert set(found) == {*kept, *both, *first, *second}
    by_leaf = collections.Counter()
    for text, leaf in kept.items():
        by_leaf[leaf] += found[text]
    assert is_uniform(by_leaf, ("prediction", "target"))
    thirds = [sum(found[text] for text in group) for group in ({*kept, *both}, first, second)]
    assert stats.chisquare(thirds).pvalue > UNLIKELY


def test_replacement_by_a_larger_arity_adds_a_random_input():
    found = outcomes(trees.replace, "Neg(target)", draws=2000)
    assert {text for text in found if text.startswith("Mul(")} == {f"Mul(target, {leaf})" for leaf in INPUTS}


def test_mutations_are_drawn_uniformly(monkeypatch):
    counts = collections.Counter()

    def counted(mutation):
        def call(*arguments):
            counts[mutation.__name__] += 1
            return mutation(*arguments)

        return call

    names = tuple(mutation.__name__ for mutation in edits.MUTATIONS)
    monkeypatch.setattr(edits, "MUTATIONS", tuple(counted(mutation) for mutation in edits.MUTATIONS))
    graph = read("Neg(Mul(target, Log(prediction)))")
    for seed in range(1000):
        edits.mutate(np.random.default_rng(seed), VOCABULARY, graph, 2)
    assert sum(counts.values()) >= 2000
    assert is_uniform(counts, names)


def test_a_deletion_that_is_impossible_is_drawn_again():
    """From a bare input two mutations are always done: the count says how many took place, not how many were tried."""
    for seed in range(50):
        graph = edits.mutate(np.random.default_rng(seed), VOCABULARY, read("prediction"), 1)
        assert graph.num_operators == 1


def test_the_parent_stays_as_it_was():
    parent = read("Neg(Mul(target, Log(prediction)))")
    before = (parent.nodes, str(parent))
    for seed in range(200):
        edits.mutate(np.random.default_rng(seed), VOCABULARY, parent, 3)
    assert (parent.nodes, str(parent)) == before


def test_mutated_trees_are_graphs_in_normal_form():
    """What a mutation makes reads back as itself: topological order, output last, nothing unused."""
    graph = read("Neg(Mul(target, Log(prediction)))")
    for seed in range(300):
        mutated = edits.mutate(np.random.default_rng(seed), VOCABULARY, graph, 2)
        assert mutated == Graph.build(mutated.nodes)
        assert read(str(mutated)) == mutated


# --- offspring ---------------------------------------------------------------------------------------------------------------


def test_offspring_are_copies_fresh_trees_and_mutants_in_the_proportions_of_the_paper():
    """10% copies; of the rest one half is initialised again, the other half is mutated."""
    parent = read("Neg(Mul(target, Log(prediction)))")
    counts = collections.Counter()
    for seed in range(4000):
        graph, origin = SPACE.offspring(np.random.default_rng(seed), BRANCH, [parent])
        counts[origin] += 1
        assert (origin != COPY) or graph == parent
        assert (origin != REINITIALISE) or operators_per_path(trees.from_graph(graph)) == {3}
    expected = {COPY: 400, REINITIALISE: 1800, MUTATION: 1800}
    assert set(counts) == set(expected)
    assert stats.chisquare([counts[name] for name in expected], list(expected.values())).pvalue > UNLIKELY


def test_a_mutant_has_gone_through_two_mutations():
    """Two insertions make a chain two longer, and nothing makes it three longer."""
    mutating = autoloss_zero(AutoLossZeroSettings(copy_probability=0.0, reinitialise_probability=0.0))
    growth = collections.Counter()
    for seed in range(600):
        graph, origin = mutating.offspring(np.random.default_rng(seed), BRANCH, [read("Neg(Sqrt(Square(Abs(prediction))))")])
        assert origin == MUTATION
        growth[graph.num_operators - 4] += 1
    assert max(growth) == 2
    assert growth[1] > 0 < growth[-2]


def test_an_edit_that_does_not_fit_is_drawn_again():
    """With room for three operators every mutant of a graph of three still fits, and insertions still occur."""
    small = autoloss_zero(
        AutoLossZeroSettings(max_instructions=3, copy_probability=0.0, reinitialise_probability=0.0, num_mutations=1)
    )
    (branch,) = small.branches
    parent = read("Mul(target, Log(prediction))")
    sizes = collections.Counter()
    for seed in range(300):
        graph, _ = small.offspring(np.random.default_rng(seed), branch, [parent])
        encode(graph, branch.form.layout)
        sizes[graph.merged().num_operators] += 1
    assert set(sizes) == {0, 1, 2, 3}
    # A tree of depth three often needs more than three slots: it is drawn again too.
    for seed in range(100):
        encode(small.sample(np.random.default_rng(seed), branch), branch.form.layout)


def test_a_space_without_room_says_so(monkeypatch):
    monkeypatch.setattr(space_module, "MAX_DRAWS", 3)
    deep = autoloss_zero(AutoLossZeroSettings(initial_depth=10, max_instructions=10))
    with pytest.raises(UserError, match=r"initial_depth = 10 fits into space\.autoloss_zero\.max_instructions = 10: lower"):
        deep.sample(np.random.default_rng(0), deep.branches[0])
    busy = autoloss_zero(
        AutoLossZeroSettings(
            initial_depth=1, max_instructions=1, num_mutations=200, copy_probability=0.0, reinitialise_probability=0.0
        )
    )
    with pytest.raises(UserError, match=r"num_mutations = 200 fits into space\.autoloss_zero\.max_instructions = 1: lower"):
        busy.offspring(np.random.default_rng(0), busy.branches[0], [read("Neg(target)")])


def test_equal_parts_count_once_when_an_edit_is_measured():
    tiny = autoloss_zero(
        AutoLossZeroSettings(max_instructions=4, copy_probability=0.0, reinitialise_probability=0.0, num_mutations=1)
    )
    (branch,) = tiny.branches
    parent = read("Mul(Neg(Log(prediction)), Neg(Log(prediction)))")
    for seed in range(100):
        graph, _ = tiny.offspring(np.random.default_rng(seed), branch, [parent])
        assert graph.merged().num_operators <= 4
