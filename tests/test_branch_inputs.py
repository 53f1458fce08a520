"""AutoLoss-Zero with branches that read inputs of their own."""

import numpy as np
import pytest

from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.errors import user_error

AREAS = ("intersection", "union", "enclosing")


@pytest.fixture(scope="module")
def space():
    branches = ("classification", "regression")
    return autoloss_zero(AutoLossZeroSettings(branches=branches, branch_weights=(1.0, 10.0), branch_inputs={branches[1]: AREAS}))


def read_by(space, branch, graph):
    return space.branch(branch).form.reads(graph)


def test_random_trees_and_offspring_read_what_their_branch_has(space):
    random = np.random.default_rng(0)
    found = {branch.name: set() for branch in space.branches}
    for branch in space.branches:
        graph = space.sample(random, branch)
        for _ in range(60):
            graph = space.sample(random, branch) if random.random() < 0.5 else space.offspring(random, branch, [graph])[0]
            found[branch.name] |= read_by(space, branch.name, graph)
    assert found == {"classification": {"prediction", "target"}, "regression": {*AREAS}}


def test_formulas_are_read_by_branch(space):
    text = "classification: Neg(Mul(target, Log(prediction))) | regression: Neg(Log(Mul(intersection, Inv(union))))"
    assert space.write(space.parse(text)) == text
    with user_error("union", "of the branch classification"):
        space.parse("classification: union | regression: union")


def test_a_formula_needs_prediction_and_target_or_one_of_the_others(space):
    required = {branch.name: branch.required for branch in space.branches}
    assert required["classification"] == (frozenset({"prediction"}), frozenset({"target"}))
    assert required["regression"] == (frozenset(AREAS),)


def test_nothing_is_known_of_branches_that_read_something_else(space):
    assert not space.known_losses
    assert "cross_entropy" in autoloss_zero().known_losses


def test_factors_are_found_in_every_branch():
    branches = ("classification", "regression")
    settings = AutoLossZeroSettings(
        branches=branches, branch_weights=(1.0, 1.0), branch_inputs={"regression": AREAS}, tuned_factors=1
    )
    space = autoloss_zero(settings)
    text = "classification: Exp(Add(prediction, target)) | regression: Exp(Add(union, intersection))"
    found = space.hyperparameters(space.parse(text))
    assert found.keys() == {"classification.factor_1", "regression.factor_1"}
    other = space.write(space.with_hyperparameters(space.parse(text), {**found, "regression.factor_1": 2.0}))
    assert other.startswith("classification: Exp(Add(prediction, target)) |")
    assert "2" in other
