"""The space of CSE-Autoloss (ICLR 2021): graphs of primitive operators for the branches of a detector (Section 3.1)."""

from collections.abc import Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.filters.settings import EquivalenceSettings
from jaxloss.graphs.form import GraphForm
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout, fits
from jaxloss.graphs.trees import Vocabulary, crossed, leaves_of, random_tree
from jaxloss.spaces.base import Branch, Space
from jaxloss.spaces.fixed import fixed_loss
from jaxloss.systems.cse_autoloss.edits import mutate
from jaxloss.systems.cse_autoloss.filters import make_filters
from jaxloss.systems.cse_autoloss.operators import S_CURVES
from jaxloss.systems.cse_autoloss.published import known_losses
from jaxloss.systems.cse_autoloss.settings import (
    CLASSIFICATION,
    CUSTOMARY,
    NONE,
    REGRESSION,
    CSEAutoLossSettings,
    VerificationSettings,
    kind_of,
    pair_of,
)

COPY, CROSSOVER, MUTATION = "copy", "crossover", "mutation"
CONSTANTS = (1.0, 2.0, 3.0)
# x, y and w of the paper: scores and labels of the classes, the overlap of the predicted box with the true one; i, u and e.
INPUTS = {CLASSIFICATION: ("logits", "target", "overlap"), REGRESSION: ("intersection", "union", "enclosing")}
PER_SAMPLE = {CLASSIFICATION: frozenset({"overlap"}), REGRESSION: frozenset(INPUTS[REGRESSION])}
# What a loss has to read: without these nothing can say how good a prediction is.
REQUIRED = {
    CLASSIFICATION: (frozenset({"logits"}), frozenset({"target"})),
    REGRESSION: (frozenset({"intersection", "union"}),),
}

# Nearly all edits of a loss that fits do fit.
MAX_DRAWS = 10_000


def cse_autoloss(settings: CSEAutoLossSettings | None = None) -> Space:
    """Makes the space; its `sample` and `offspring` raise `UserError` when none of many draws has fitted.

    References:
      P. Liu et al.: Loss Function Discovery for Object Detection via Convergence-Simulation Driven Search, ICLR 2021.
    """
    settings = settings or CSEAutoLossSettings()
    pair, further = pair_of(settings.branches), settings.further_losses
    kinds = {name: kind_of(name) for name in (*pair, *further)}
    layouts = {
        name: Layout(
            S_CURVES[settings.s_curves], INPUTS[kind], settings.max_instructions, settings.max_constants, PER_SAMPLE[kind]
        )
        for name, kind in kinds.items()
    }
    vocabularies = {name: Vocabulary(settings.operators(name), leaves_of(INPUTS[kinds[name]], CONSTANTS)) for name in pair}
    weights = {CLASSIFICATION: settings.classification_weight, REGRESSION: settings.regression_weight}
    weight_of = {name: weights[kinds[name]] for name in pair}

    def sample(generator: np.random.Generator, branch: Branch) -> Graph:
        for _ in range(MAX_DRAWS):
            graph = random_tree(generator, vocabularies[branch.name], settings.initial_depth)
            if fits(graph, layouts[branch.name]):
                return graph
        raise _nothing_fits("random losses", settings)

    def offspring(generator: np.random.Generator, branch: Branch, parents: Sequence[Graph]) -> tuple[Graph, str]:
        first, second = parents
        for _ in range(MAX_DRAWS):
            graph, words = first, []
            if generator.random() < settings.crossover_probability:
                graph = crossed(generator, graph, second)
                words.append(CROSSOVER)
            if generator.random() < settings.mutation_probability:
                count = int(generator.integers(1, settings.max_mutations, endpoint=True))
                graph = mutate(generator, vocabularies[branch.name], graph, count)
                words.append(MUTATION)
            if fits(graph, layouts[branch.name]):
                return graph, " and ".join(words) or COPY
        raise _nothing_fits("offspring", settings)

    others = [name for name in pair if name not in settings.branches and settings.fixed_loss != NONE]
    fixed = {**{name: settings.fixed_loss or CUSTOMARY[kinds[name]] for name in others}, **further}
    return Space(
        name="cse_autoloss",
        branches=tuple(
            Branch(name, GraphForm(layouts[name]), weight_of[name], REQUIRED[kinds[name]])
            for name in pair
            if name in settings.branches
        ),
        sample=sample,
        offspring=offspring,
        num_parents=2,
        known_losses=known_losses(settings.branches),
        make_filters=make_filters,
        sections=(EquivalenceSettings.section, VerificationSettings.section),
        fixed_losses={
            name: fixed_loss(text, GraphForm(layouts[name]), weight_of.get(name, 1.0), f" of the branch {name}")
            for name, text in fixed.items()
        },
    )


def _nothing_fits(what: str, settings: CSEAutoLossSettings) -> UserError:
    return UserError(
        f"none of {MAX_DRAWS} {what} fits into space.cse_autoloss.max_instructions = {settings.max_instructions} and "
        f"max_constants = {settings.max_constants}: raise them"
    )
