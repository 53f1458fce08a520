"""The space: operators, inputs, random losses and their offspring, and how the S-curves are read."""

import collections

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import jaxloss
from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs
from jaxloss.graphs import trees
from jaxloss.graphs.graph import Node
from jaxloss.graphs.program import fits
from jaxloss.graphs.trees import Vocabulary, leaves_of
from jaxloss.systems.cse_autoloss import edits
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS, S_CURVES
from jaxloss.systems.cse_autoloss.space import COPY, CROSSOVER, MUTATION
from tests.box_losses.spaces import BRANCHES, form_of, named, space_of

POINTS = np.array([-3.0, -0.5, 0.0, 0.7, 2.0])
# Name -> reading -> value, written from the paper and its published code.
CURVES = {
    "Gd": lambda x: 2 * np.arctan(np.tanh(x / 2)),
    "Alf": lambda x: x / np.sqrt(1 + x * x),
    "Erf": special.erf,
}
SCALES = {"Gd": np.pi / 4, "Alf": 0.5, "Erf": np.sqrt(np.pi) / 4}
LARGEST = {"Gd": np.pi / 2, "Alf": 1.0, "Erf": 1.0}


def value_of(text, arrays, branch="classification", **settings):
    inputs = LossInputs.create({name: jnp.asarray(one, jnp.float32) for name, one in arrays.items()})
    form = form_of(branch, **settings)
    return np.asarray(form.compile(form.parse(text))(inputs)).reshape(-1)


@pytest.mark.parametrize("name", CURVES)
def test_the_readings_of_an_s_curve(name):
    arrays = {"logits": POINTS[:, None, None, None], "target": np.ones((5, 1, 1, 1)), "overlap": np.ones((5, 1, 1, 1))}
    plain, scale, largest = CURVES[name], SCALES[name], LARGEST[name]
    expected = {
        "published": (plain(scale * POINTS) / largest + 1) / 2,
        "output": (plain(POINTS) / largest + 1) / 2,
        "plain": plain(POINTS),
    }
    for reading, values in expected.items():
        np.testing.assert_allclose(value_of(f"{name}(logits)", arrays, s_curves=reading), values, rtol=2e-6, atol=1e-7)
        if name == "Erf":
            complement = values * -1 + 1
            found = value_of("Erfc(logits)", arrays, s_curves=reading)
            np.testing.assert_allclose(found, complement, rtol=2e-5, atol=1e-6)


def test_the_sets_of_all_readings_have_the_operators_of_the_paper():
    for operators in S_CURVES.values():
        assert collections.Counter(one.arity for one in operators.visible) == {1: 16, 2: 5}
    assert {one.name for one in CSE_AUTOLOSS.visible} == set(S_CURVES["plain"].by_name) - {"DotOfSample", "SoftmaxOfSample"}


@pytest.mark.parametrize("branch", BRANCHES)
class TestDraws:
    def test_offspring_fit_and_say_where_they_come_from(self, branch):
        space = space_of(branch, max_instructions=16)
        form, random = space.branches[0].form, np.random.default_rng(0)
        parents = [form.parse(text) for text in list(named(branch).values())[-2:]]
        origins = collections.Counter()
        for _ in range(300):
            child, origin = space.offspring(random, space.branches[0], parents)
            assert fits(child, form.layout)
            origins[origin] += 1
            assert (child == parents[0]) or origin != COPY
        # 0.5 and 0.8, independently: 0.1 copies, 0.1 crossover alone, 0.4 mutation alone, 0.4 both.
        expected = {COPY: 0.1, CROSSOVER: 0.1, MUTATION: 0.4, f"{CROSSOVER} and {MUTATION}": 0.4}
        for origin, share in expected.items():
            assert abs(origins[origin] / 300 - share) < 4 * np.sqrt(share * (1 - share) / 300), origins

    def test_random_parts_hold_the_inputs_and_constants_of_the_paper(self, branch):
        space, random = space_of(branch), np.random.default_rng(1)
        drawn = [space.sample(random, space.branches[0]) for _ in range(300)]
        leaves = {node.value if node.is_constant else node.name for graph in drawn for node in graph.nodes if not node.operands}
        assert leaves == {*space.branches[0].form.inputs, 1.0, 2.0, 3.0}


def test_regression_losses_are_made_of_fewer_operators():
    def names(branch, **settings):
        space, random = space_of(branch, **settings), np.random.default_rng(0)
        drawn = [space.sample(random, space.branches[0]) for _ in range(300)]
        return {node.name for graph in drawn for node in graph.nodes if node.operands}

    assert len(names("classification")) == 21
    assert names("regression") == {"Add", "Sub", "Mul", "Div", "Neg", "Abs", "Exp", "Log", "Sqrt", "Tanh"}
    assert names("regression", regression_operators=("Neg", "Add")) == {"Neg", "Add"}
    # A formula may hold any of them.
    form_of("regression").parse("Softplus(Div(intersection, union))")


def test_a_replaced_node_has_as_many_operands_and_is_another_one():
    vocabulary = Vocabulary(CSE_AUTOLOSS.visible, leaves_of(("intersection", "union", "enclosing"), (1.0, 2.0, 3.0)))
    before = trees.from_graph(form_of("regression").parse("Sub(1, Div(intersection, union))"))
    shape = [len(node.children) for node in _nodes(before)]
    for seed in range(30):
        root = trees.Tree(trees.ROOT, [trees.from_graph(trees.to_graph(before))])
        assert edits.replace(np.random.default_rng(seed), vocabulary, root)
        (after,) = root.children
        assert [len(node.children) for node in _nodes(after)] == shape
        assert sum(one.node != other.node for one, other in zip(_names(before), _names(after), strict=True)) == 1


def _nodes(tree):
    return [tree, *(one for child in tree.children for one in _nodes(child))]


def _names(tree):
    """The nodes without their operands' numbers, which differ between trees and graphs."""
    return [trees.Tree(Node(one.node.name, (), one.node.value)) for one in _nodes(tree)]


def test_both_branches_may_be_searched_together():
    space = jaxloss.make_space("cse_autoloss", branches=("regression", "classification"), classification_weight=2.0)
    assert [(branch.name, branch.weight) for branch in space.branches] == [("classification", 2.0), ("regression", 1.0)]
    assert not space.fixed_losses
    for text in space.known_losses.values():
        space.encode(space.parse(text))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"branches": ("boxes",)}, "Did you mean|regression"),
        ({"branches": ()}, "must name one branch at least"),
        ({"regression_operators": ("Add", "Mul")}, "one operator of one operand"),
        ({"regression_operators": ("Add", "Pow")}, "Pow"),
        ({"fixed_loss": "Neg(logit)"}, "of the branch classification at character 5"),
        ({"s_curves": "rescaled"}, "published"),
    ],
)
def test_what_cannot_be_is_refused(settings, says):
    with pytest.raises(UserError, match=says):
        jaxloss.make_space("cse_autoloss", **settings)
