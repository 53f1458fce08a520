"""The space of AutoLoss-Zero (CVPR 2022): trees of primitive operators over prediction, target and the constant 1."""

from collections.abc import Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.graphs.form import GraphForm
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout, fits
from jaxloss.spaces.base import Branch, Space
from jaxloss.systems.autoloss_zero import trees
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO

COPY, REINITIALISE, MUTATION = "copy", "reinitialise", "mutation"

# What a loss has to read: from the one it learns, the other says what is right.
REQUIRED = (frozenset({"prediction"}), frozenset({"target"}))

# Where one draw in a thousand fits, this many bring nothing once in twenty thousand times; a space that is tighter still would
# spend its time on drawing.
MAX_DRAWS = 10_000


def autoloss_zero(
    branches: Sequence[str] = ("classification",),
    branch_weights: Sequence[float] = (1.0,),
    initial_depth: int = 3,
    max_instructions: int = 24,
    max_constants: int = 4,
    copy_probability: float = 0.1,
    reinitialise_probability: float = 0.5,
    num_mutations: int = 2,
) -> Space:
    """Makes the space.

    Args:
      branches: names of the loss branches, one graph each.
      branch_weights: their weights in the sum.
      initial_depth: `D`, operators on each path of a random tree.
      max_instructions: fixed program size; an edit that would not fit is drawn again. The paper has no bound.
      max_constants: how many different numbers a formula may hold. Random trees use only 1.
      copy_probability: of an offspring that is its parent.
      reinitialise_probability: of a fresh random tree, where the parent is not copied.
      num_mutations: applied one after the other, where neither happens.

    Raises:
      UserError: when no random tree can fit; `sample` and `offspring` raise it when none of many draws has fitted.
    """
    if max_instructions < initial_depth:
        raise UserError(
            f"space.autoloss_zero.max_instructions ({max_instructions}) must not be below initial_depth ({initial_depth}): "
            "no random tree would fit"
        )
    vocabulary = trees.Vocabulary(AUTOLOSS_ZERO.visible, trees.leaves_of(("prediction", "target")))
    layout = Layout(AUTOLOSS_ZERO, ("prediction", "target"), max_instructions, max_constants)

    def sample(generator: np.random.Generator, branch: Branch) -> Graph:
        del branch
        for _ in range(MAX_DRAWS):
            graph = trees.random_tree(generator, vocabulary, initial_depth)
            if fits(graph, layout):
                return graph
        raise UserError(
            f"none of {MAX_DRAWS} random trees with space.autoloss_zero.initial_depth = {initial_depth} fits into "
            f"space.autoloss_zero.max_instructions = {max_instructions}: lower the one or raise the other"
        )

    def offspring(generator: np.random.Generator, branch: Branch, parents: Sequence[Graph]) -> tuple[Graph, str]:
        (parent,) = parents
        if generator.random() < copy_probability:
            return parent, COPY
        if generator.random() < reinitialise_probability:
            return sample(generator, branch), REINITIALISE
        for _ in range(MAX_DRAWS):
            graph = trees.mutate(generator, vocabulary, parent, num_mutations)
            if fits(graph, layout):
                return graph, MUTATION
        raise UserError(
            f"none of {MAX_DRAWS} mutants with space.autoloss_zero.num_mutations = {num_mutations} fits into "
            f"space.autoloss_zero.max_instructions = {max_instructions}: lower the one or raise the other"
        )

    return Space(
        name="autoloss_zero",
        branches=tuple(
            Branch(name, GraphForm(layout), float(weight), REQUIRED)
            for name, weight in zip(branches, branch_weights, strict=True)
        ),
        sample=sample,
        offspring=offspring,
    )
