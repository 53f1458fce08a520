"""The space of AutoLoss-Zero (CVPR 2022): trees of primitive operators over prediction, target and the constant 1.

Further inputs, such as the class frequencies, are leaves like these where the settings name them, and a branch may read others
in their place, such as the areas of boxes.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.graphs.form import GraphForm
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout, fits
from jaxloss.graphs.trees import Vocabulary, leaves_of, random_tree
from jaxloss.spaces.base import Branch, Candidate, Space
from jaxloss.spaces.fixed import fixed_loss
from jaxloss.spaces.hyperparameters import TuningRange
from jaxloss.systems.autoloss_zero import edits
from jaxloss.systems.autoloss_zero.factors import factor_names, factors, with_factors
from jaxloss.systems.autoloss_zero.known import known_losses
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.autoloss_zero.settings import PREDICTION, TARGET, AutoLossZeroSettings

COPY, REINITIALISE, TERM, MUTATION = "copy", "reinitialise", "term", "mutation"

REQUIRED = (frozenset({PREDICTION}), frozenset({TARGET}))

# Where one draw in a thousand fits, this many bring nothing once in twenty thousand times; a space that is tighter still would
# spend its time on drawing.
MAX_DRAWS = 10_000


def autoloss_zero(settings: AutoLossZeroSettings | None = None) -> Space:
    """Makes the space; its `sample` and `offspring` raise `UserError` when none of many draws has fitted."""
    settings = settings or AutoLossZeroSettings()
    inputs = {branch: settings.inputs_of(branch) for branch in (*settings.branches, *settings.fixed_losses)}
    vocabularies = {branch: Vocabulary(AUTOLOSS_ZERO.visible, leaves_of(names)) for branch, names in inputs.items()}
    layouts = {
        branch: Layout(AUTOLOSS_ZERO, names, settings.max_instructions, settings.max_constants)
        for branch, names in inputs.items()
    }

    def sample(generator: np.random.Generator, branch: Branch) -> Graph:
        vocabulary, layout = vocabularies[branch.name], layouts[branch.name]
        for _ in range(MAX_DRAWS):
            graph = random_tree(generator, vocabulary, settings.initial_depth)
            if fits(graph, layout):
                return graph
        raise UserError(
            f"none of {MAX_DRAWS} random trees with space.autoloss_zero.initial_depth = {settings.initial_depth} fits into "
            f"space.autoloss_zero.max_instructions = {settings.max_instructions}: lower the one or raise the other"
        )

    def offspring(generator: np.random.Generator, branch: Branch, parents: Sequence[Graph]) -> tuple[Graph, str]:
        (parent,) = parents
        vocabulary, layout = vocabularies[branch.name], layouts[branch.name]
        if generator.random() < settings.copy_probability:
            return parent, COPY
        if generator.random() < settings.reinitialise_probability:
            return sample(generator, branch), REINITIALISE
        if settings.term_probability and generator.random() < settings.term_probability:
            graph = edits.with_term(generator, vocabulary, parent, settings.initial_depth)
            if fits(graph, layout):
                return graph, TERM
        for _ in range(MAX_DRAWS):
            graph = edits.mutate(generator, vocabulary, parent, settings.num_mutations)
            if fits(graph, layout):
                return graph, MUTATION
        raise UserError(
            f"none of {MAX_DRAWS} mutants with space.autoloss_zero.num_mutations = {settings.num_mutations} fits into "
            f"space.autoloss_zero.max_instructions = {settings.max_instructions}: lower the one or raise the other"
        )

    def hyperparameters(candidate: Candidate) -> dict[str, float]:
        """The factors of all branches, with the branch before the name where there are several."""
        found = {branch: factors(graph, layouts[branch], settings.tuned_factors) for branch, graph in candidate.items()}
        return {_name(settings, branch, name): value for branch, values in found.items() for name, value in values.items()}

    def with_hyperparameters(candidate: Candidate, values: Mapping[str, float]) -> dict[str, Graph]:
        own = {
            branch: {name: values.get(_name(settings, branch, name), 1.0) for name in factor_names(settings.tuned_factors)}
            for branch in candidate
        }
        return {branch: with_factors(graph, own[branch]) for branch, graph in candidate.items()}

    return Space(
        name="autoloss_zero",
        branches=tuple(
            Branch(name, GraphForm(layouts[name]), float(weight), _required(inputs[name]))
            for name, weight in zip(settings.branches, settings.branch_weights, strict=True)
        ),
        sample=sample,
        offspring=offspring,
        # Of branches that read something else nothing is known.
        known_losses={
            name: _in_all_branches(settings, formula)
            for name, formula in known_losses(settings.inputs).items()
            if not settings.branch_inputs
        },
        fixed_losses={
            branch: fixed_loss(
                text, GraphForm(layouts[branch]), settings.fixed_weights.get(branch, 1.0), f" of the branch {branch}"
            )
            for branch, text in settings.fixed_losses.items()
        },
        hyperparameters=hyperparameters,
        with_hyperparameters=with_hyperparameters,
        tuning_ranges={
            _name(settings, branch, name): TuningRange(*settings.tuned_factor_range, default=1.0, logarithmic=True)
            for branch in settings.branches
            for name in factor_names(settings.tuned_factors)
        },
    )


def _required(inputs: Sequence[str]) -> tuple[frozenset[str], ...]:
    """Prediction and target where a branch has both, else one of its inputs."""
    return REQUIRED if {PREDICTION, TARGET} <= {*inputs} else (frozenset(inputs),)


def _in_all_branches(settings: AutoLossZeroSettings, formula: str) -> str:
    """The text of a candidate that has one formula in every branch."""
    return formula if len(settings.branches) == 1 else " | ".join(f"{branch}: {formula}" for branch in settings.branches)


def _name(settings: AutoLossZeroSettings, branch: str, factor: str) -> str:
    return factor if len(settings.branches) == 1 else f"{branch}.{factor}"
