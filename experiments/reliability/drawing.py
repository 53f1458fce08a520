"""Graphs of every operator set, for the campaign: drawn as a search draws them, mutated, and built of odd parts.

A chunk follows from (seed, name of the space, number of the chunk) alone.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from jaxloss.core.form import Expression
from jaxloss.graphs.form import GraphForm
from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.program import Layout, fits
from jaxloss.spaces.base import Space
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.systems.cse_autoloss.operators import S_CURVES
from jaxloss.systems.cse_autoloss.settings import CLASSIFICATION, REGRESSION, CSEAutoLossSettings
from jaxloss.systems.cse_autoloss.space import cse_autoloss

SPACES: Mapping[str, Space] = {
    "autoloss_zero": autoloss_zero(),
    "autoloss_gms": autoloss_gms(),
    "cse_autoloss regression": cse_autoloss(CSEAutoLossSettings(branches=(REGRESSION,))),
    **{
        f"cse_autoloss {curves}": cse_autoloss(CSEAutoLossSettings(branches=(CLASSIFICATION,), s_curves=curves))
        for curves in S_CURVES
    },
}
# Where floats, their text, and the constants' float32 registers have their corners.
ODD_NUMBERS = (0.0, -1.0, 0.1, 1 / 3, 1e-30, 5e-324, 1e15, 1e16, -1e15 - 2, 1e38, 3.4e38, 2.0**53, 123456789.125)
_TRIES = 1_000


def draw_chunk(
    name: str, seed: int, number: int, size: int, wanted: Callable[[Expression], bool] = lambda expression: True
) -> list[Expression]:
    """So many expressions of the one branch of a space: a third drawn, a third offspring of those, a third of odd parts.

    Forms whose expressions are no single graphs have drawn ones and offspring alone; what is not wanted is drawn again.
    """
    space = SPACES[name]
    (branch,) = space.branches
    generator = np.random.default_rng((seed, zlib.crc32(name.encode()), number))
    found: list[Expression] = []
    # Those of odd parts have no offspring: they may be too large for any edit that fits, which a search would not meet.
    parents: list[Expression] = []
    while len(found) < size:
        kind = int(generator.integers(3)) if parents else 0
        if kind == 2 and isinstance(branch.form, GraphForm):
            expression = odd_graph(generator, branch.form.layout)
        elif kind == 1:
            chosen = [parents[generator.integers(len(parents))] for _ in range(space.num_parents)]
            expression = space.offspring(generator, branch, chosen)[0]
        else:
            expression = space.sample(generator, branch)
        if wanted(expression):
            found.append(expression)
            parents += [expression] if kind < 2 else []
    return found


def odd_graph(generator: np.random.Generator, layout: Layout) -> Graph:
    """A directed acyclic graph of any operators and numbers that fits: shared parts, equal operands, leaves alone."""
    for _ in range(_TRIES):
        graph = Graph.build(list(_odd_nodes(generator, layout)))
        if fits(graph, layout):
            return graph
    raise RuntimeError(f"none of {_TRIES} graphs fits into {layout.max_instructions} operators")


def _odd_nodes(generator: np.random.Generator, layout: Layout) -> Iterator[Node]:
    numbers = generator.choice(ODD_NUMBERS, layout.max_constants, replace=False)
    leaves = [Node(name) for name in layout.inputs] + [constant(value) for value in numbers]
    count = int(generator.integers(1, 4))
    yield from (leaves[generator.integers(len(leaves))] for _ in range(count))
    visible = layout.operators.visible
    for _ in range(generator.integers(0, layout.max_instructions, endpoint=True)):
        if generator.random() < 0.3:
            yield leaves[generator.integers(len(leaves))]
            count += 1
        operator = visible[generator.integers(len(visible))]
        # Near ones, so that graphs grow deep; far ones, so that parts are shared.
        near = count - 1 - generator.geometric(0.4, operator.arity) + 1
        operands = np.where(
            generator.random(operator.arity) < 0.7, np.maximum(near, 0), generator.integers(count, size=operator.arity)
        )
        yield Node(operator.name, tuple(int(one) for one in operands))
        count += 1


def reordered(generator: np.random.Generator, graph: Graph, layout: Layout) -> Graph:
    """The same loss with the operands of commutative operators in another order."""
    by_name = layout.operators.by_name
    nodes = [
        Node(node.name, node.operands[::-1], node.value)
        if node.is_operator and by_name[node.name].commutative and generator.random() < 0.5
        else node
        for node in graph.nodes
    ]
    return Graph.build(nodes)
