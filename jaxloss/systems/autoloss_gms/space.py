"""The space of AutoLoss-GMS (CVPR 2022): a scale and two graphs over a cosine (supplement, Algorithms 1 to 3)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxloss.core.problem import COSINES
from jaxloss.graphs.graph import Graph, Node
from jaxloss.graphs.program import Layout, fits
from jaxloss.spaces.base import Branch, Space
from jaxloss.spaces.hyperparameters import TuningRange
from jaxloss.spaces.margin_softmax import LOG2_SCALE
from jaxloss.systems.autoloss_gms import dags
from jaxloss.systems.autoloss_gms.curve_chooser import make_chooser
from jaxloss.systems.autoloss_gms.drawing import DRAWING
from jaxloss.systems.autoloss_gms.export import write_python
from jaxloss.systems.autoloss_gms.filters import make_filters
from jaxloss.systems.autoloss_gms.form import CURVE_INPUT, MarginForm, MarginLoss
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from jaxloss.systems.autoloss_gms.published import MARGIN_SOFTMAX_FORMULAS
from jaxloss.systems.autoloss_gms.settings import (
    EITHER,
    FIRST,
    GRID,
    AutoLossGMSSettings,
    ChooserSettings,
    PredictorSettings,
    PropertySettings,
)

COPY, REINITIALISE, MUTATION, CROSSOVER = "copy", "reinitialise", "mutation", "crossover"

# Mutants that are drawn before a random graph takes their place: nearly all of them fit.
MAX_DRAWS = 1_000


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """The values of a number: where it begins, and how it moves (Eq. 8, reconstructed)."""

    step: float
    count: int
    precision: float
    mutation: str
    bounded: bool

    @property
    def values(self) -> tuple[float, ...]:
        """`step, 2 step, ..., count step`, without the noise of binary fractions."""
        return tuple(round(self.step * (index + 1), 10) for index in range(self.count))

    def draw(self, generator: np.random.Generator) -> float:
        return self.values[generator.integers(self.count)]

    def mutate(self, generator: np.random.Generator, value: float) -> float:
        if self.mutation == GRID:
            moved = value + self.step * (2 * int(generator.integers(2)) - 1)
            low, high = self.values[0], self.values[-1]
            return self.on_grid(min(max(moved, low), high), self.step)
        moved = self.on_grid(value + self.step * generator.standard_normal(), self.precision)
        return min(max(moved, self.values[0]), self.values[-1]) if self.bounded else moved

    @staticmethod
    def on_grid(value: float, precision: float) -> float:
        return round(round(value / precision) * precision, 10)


def autoloss_gms(settings: AutoLossGMSSettings | None = None) -> Space:
    """Makes the space.

    References:
      H. Gu et al.: Searching Generalized Margin-based Softmax Loss Function for Person Re-identification, CVPR 2022.
    """
    settings = settings or AutoLossGMSSettings()
    branch_name = settings.branch
    scales = _Numbers(settings.scale_step, settings.num_scales, settings.scale_step, settings.number_mutation, bounded=True)
    constants = _Numbers(
        settings.constant_step, settings.num_constant_values, settings.constant_precision, settings.number_mutation, bounded=False
    )
    vocabulary = dags.Vocabulary(
        AUTOLOSS_GMS.visible,
        CURVE_INPUT,
        constants.values,
        settings.num_constants,
        settings.max_operators,
        settings.operator_sampling,
    )
    # Room for the Adds that join what is left over of a random graph: at most one for each node but one. Sums may grow in the
    # course of mutations, rarely beyond that; what does not fit is drawn again.
    layout = Layout(
        AUTOLOSS_GMS, (CURVE_INPUT,), 2 * settings.max_operators + settings.num_constants, max(1, settings.num_constants)
    )
    # Those that are searched, and those that are tuned: a tuned loss is written, and read again.
    log2_scales = (*scales.values, *settings.tuned_scales)
    form = MarginForm(layout, (min(log2_scales), max(log2_scales)))

    def sample(generator: np.random.Generator, branch: Branch) -> MarginLoss:
        del branch
        scale = scales.draw(generator)
        return MarginLoss(dags.random_graph(generator, vocabulary), dags.random_graph(generator, vocabulary), scale)

    def move_constants(generator: np.random.Generator, draft: dags.Draft) -> None:
        for index in draft.constants:
            draft.nodes[index] = Node(draft.nodes[index].name, (), constants.mutate(generator, draft.nodes[index].value) + 0.0)

    def new_graph(generator: np.random.Generator, parent: Graph) -> tuple[Graph, str]:
        draw = generator.random()
        if draw < settings.copy_probability:
            return parent, COPY
        if draw < settings.reinitialise_probability:
            return dags.random_graph(generator, vocabulary), REINITIALISE
        for _ in range(MAX_DRAWS):
            draft = dags.from_graph(generator, vocabulary, parent)
            for _ in range(generator.integers(1, settings.max_mutations, endpoint=True)):
                move_constants(generator, draft)
                dags.mutate_structure(generator, vocabulary, draft)
            graph = draft.to_graph()
            if fits(graph, layout):
                return graph, MUTATION
        return dags.random_graph(generator, vocabulary), REINITIALISE

    def new_scale(generator: np.random.Generator, parent: float) -> tuple[float, str]:
        draw = generator.random()
        if draw < settings.copy_probability:
            return parent, COPY
        if draw < settings.reinitialise_probability:
            return scales.draw(generator), REINITIALISE
        for _ in range(generator.integers(1, settings.max_mutations, endpoint=True)):
            parent = scales.mutate(generator, parent)
        return parent, MUTATION

    def crossed_scale(generator: np.random.Generator, first: float, second: float) -> float:
        if settings.scale_crossover == FIRST:
            return first
        if settings.scale_crossover == EITHER:
            return (first, second)[generator.integers(2)]
        return scales.on_grid((first + second) / 2, settings.scale_step)

    def offspring(generator: np.random.Generator, branch: Branch, parents: Sequence[MarginLoss]) -> tuple[MarginLoss, str]:
        """Algorithm 3."""
        del branch
        first, second = parents
        child, words = first, []
        if generator.random() < settings.crossover_probability:
            name = ("own", "other")[generator.integers(2)]
            scale = crossed_scale(generator, first.log2_scale, second.log2_scale)
            child = dataclasses.replace(child, **{name: getattr(second, name)}, log2_scale=scale)
            words.append(f"{CROSSOVER} {'t' if name == 'own' else 'n'}")
        own, of_own = new_graph(generator, child.own)
        other, of_other = new_graph(generator, child.other)
        scale, of_scale = new_scale(generator, child.log2_scale)
        words += [f"t {of_own}", f"n {of_other}", f"s {of_scale}"]
        return MarginLoss(own, other, scale), ", ".join(words)

    return Space(
        name="autoloss_gms",
        branches=(Branch(branch_name, form),),
        sample=sample,
        offspring=offspring,
        num_parents=2,
        hyperparameters=lambda candidate: {LOG2_SCALE: candidate[branch_name].log2_scale},
        with_hyperparameters=lambda candidate, values: {
            branch_name: dataclasses.replace(candidate[branch_name], log2_scale=values[LOG2_SCALE])
        },
        tuning_ranges={LOG2_SCALE: TuningRange(*settings.tuned_scales, default=sum(settings.tuned_scales) / 2)},
        known_losses=MARGIN_SOFTMAX_FORMULAS,
        problems=(COSINES,),
        make_filters=make_filters,
        make_chooser=make_chooser,
        sections=tuple(kind.section for kind in (PropertySettings, ChooserSettings, PredictorSettings)),
        drawing=DRAWING,
        latex_numbers={LOG2_SCALE: r"\log_2 s"},
        write_python=write_python,
    )
