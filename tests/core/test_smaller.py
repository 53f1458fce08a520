"""Graphs that are left when a part of a graph gives way to something simpler."""

import itertools

import pytest

from jaxloss.graphs.program import fits
from jaxloss.graphs.smaller import smaller_graphs
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.core.random_graphs import SETTINGS, random_graphs

FORM = autoloss_zero().branches[0].form


def texts(formula):
    return [str(graph) for graph in smaller_graphs(FORM.parse(formula), FORM.layout)]


def test_all_of_a_small_graph():
    assert texts("Neg(Mul(prediction, target))") == [
        *("1", "target", "prediction"),
        *("Neg(1)", "Neg(target)", "Neg(prediction)"),
        "Mul(prediction, target)",
    ]
    assert texts("prediction") == []


def test_a_sum_loses_either_term_and_a_pooling_leaves_what_it_pooled():
    found = texts("Add(Neg(target), MaxPool3x3(Sqrt(prediction)))")
    assert {"Neg(target)", "MaxPool3x3(Sqrt(prediction))", "Add(Neg(target), Sqrt(prediction))"} <= set(found)
    assert "Add(Neg(target), prediction)" in found  # two operators at once


def test_numbers_of_the_graph_may_stand_for_a_part():
    assert "Add(prediction, 0.5)" in texts("Add(prediction, Mul(0.5, target))")


def test_numbers_lose_their_digits():
    found = texts("Add(prediction, Mul(0.2537, target))")
    assert {f"Add(prediction, Mul({number}, target))" for number in ("0.254", "0.25", "0.3")} <= set(found)
    assert "Add(prediction, 0.3)" not in texts("Add(prediction, 0.5)")


def _size(graph):
    """A number with fewer digits makes a graph smaller, too."""
    return graph.tree_size, len(str(graph))


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_they_are_smaller_fit_and_come_in_order(setting):
    layout = setting.layout
    for graph in random_graphs(0, setting, 20):
        found = smaller_graphs(graph, layout)
        assert found
        assert all(fits(one, layout) and _size(one) < _size(graph) for one in found)
        assert len({one.key(layout.operators) for one in found}) == len(found)
        assert all(one.tree_size <= other.tree_size for one, other in itertools.pairwise(found))
