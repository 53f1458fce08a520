"""The space of AutoLoss-GMS (CVPR 2022): a scale and two graphs over a cosine (supplement, Algorithms 1 to 3)."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxloss.core.errors import UserError, unknown
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

COPY, REINITIALISE, MUTATION, CROSSOVER = "copy", "reinitialise", "mutation", "crossover"

# Eq. 7 is not in the text that is at hand: what becomes of the scale when a graph of another loss comes in.
MEAN, FIRST, EITHER = "mean", "first", "either"
SCALE_CROSSOVERS = (MEAN, FIRST, EITHER)
# Nor is Eq. 8: how a number moves. Published constants (0.22, 0.84, 1.3) lie between the steps and above 1: they move freely.
NORMAL, GRID = "normal", "grid"
NUMBER_MUTATIONS = (NORMAL, GRID)

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


def autoloss_gms(
    branch: str = "identity",
    num_constants: int = 2,
    max_operators: int = 10,
    scale_step: float = 0.5,
    num_scales: int = 20,
    constant_step: float = 0.05,
    num_constant_values: int = 20,
    crossover_probability: float = 0.6,
    copy_probability: float = 0.1,
    reinitialise_probability: float = 0.4,
    max_mutations: int = 3,
    operator_sampling: str = dags.PAIRS,
    scale_crossover: str = MEAN,
    number_mutation: str = NORMAL,
    constant_precision: float = 0.01,
    tuned_scales: tuple[float, float] = (1.0, 7.0),
) -> Space:
    """Makes the space; the defaults are those of Table 2.

    Args:
      branch: name of the loss branch; the task gives it too.
      num_constants: `n_c`, constants in a graph.
      max_operators: `n_o`, operators in a graph.
      scale_step: `Delta_s`, between values of `log2 s`.
      num_scales: `N_s`, values of `log2 s`, the first being `scale_step`.
      constant_step: `Delta_c`, between the values that constants begin with.
      num_constant_values: `N_c` of them.
      crossover_probability: `p_c`, that one graph comes from a second parent.
      copy_probability: `p_copy`, of a part (graph or scale) that stays as it is.
      reinitialise_probability: `p_re`; the same draw is compared with it after `copy_probability`, as printed, so that a part is
        made anew with probability `p_re - p_copy`.
      max_mutations: `N_m`, from 1 to so many mutations otherwise.
      operator_sampling: `pairs` or `operators`, see `dags.Vocabulary`.
      scale_crossover: of `log2 s` when a graph of the second parent comes in (Eq. 7, reconstructed): `mean` of both parents,
        the `first` parent's, or `either` of the two.
      number_mutation: of constants and scale (Eq. 8, reconstructed): `normal`, a normal step with the deviation of the grid's
        step, or `grid`, one step up or down.
      constant_precision: constants are rounded to it after a normal step; the scale stays on its grid.
      tuned_scales: `log2 s` from where to where it is tuned for a comparison (the paper tunes s alone for a new network).

    Raises:
      UserError: for a name that is no choice, and for probabilities or tuned scales out of order.

    References:
      H. Gu et al.: Searching Generalized Margin-based Softmax Loss Function for Person Re-identification, CVPR 2022.
    """
    for key, value, choices in (
        ("operator_sampling", operator_sampling, dags.SAMPLINGS),
        ("scale_crossover", scale_crossover, SCALE_CROSSOVERS),
        ("number_mutation", number_mutation, NUMBER_MUTATIONS),
    ):
        if value not in choices:
            raise unknown(f"space.autoloss_gms.{key}", value, choices)
    if copy_probability > reinitialise_probability:
        raise UserError(
            f"space.autoloss_gms.reinitialise_probability ({reinitialise_probability}) is compared with the same draw as "
            f"copy_probability ({copy_probability}), after it, and must not be below it"
        )
    if len(tuned_scales) != 2 or not np.isfinite(tuned_scales).all() or tuned_scales[0] > tuned_scales[1]:
        raise UserError(f"space.autoloss_gms.tuned_scales must be (lowest, highest) log2 s, finite, not {tuple(tuned_scales)}")
    scales = _Numbers(scale_step, num_scales, scale_step, number_mutation, bounded=True)
    constants = _Numbers(constant_step, num_constant_values, constant_precision, number_mutation, bounded=False)
    vocabulary = dags.Vocabulary(
        AUTOLOSS_GMS.visible, CURVE_INPUT, constants.values, num_constants, max_operators, operator_sampling
    )
    # Room for the Adds that join what is left over of a random graph: at most one for each node but one. Sums may grow in the
    # course of mutations, rarely beyond that; what does not fit is drawn again.
    layout = Layout(AUTOLOSS_GMS, (CURVE_INPUT,), 2 * max_operators + num_constants, max(1, num_constants))
    form = MarginForm(layout, (scales.values[0], scales.values[-1]))

    def sample(generator: np.random.Generator, branch: Branch) -> MarginLoss:
        del branch
        scale = scales.draw(generator)
        return MarginLoss(dags.random_graph(generator, vocabulary), dags.random_graph(generator, vocabulary), scale)

    def move_constants(generator: np.random.Generator, draft: dags.Draft) -> None:
        for index in draft.constants:
            draft.nodes[index] = Node(draft.nodes[index].name, (), constants.mutate(generator, draft.nodes[index].value) + 0.0)

    def new_graph(generator: np.random.Generator, parent: Graph) -> tuple[Graph, str]:
        draw = generator.random()
        if draw < copy_probability:
            return parent, COPY
        if draw < reinitialise_probability:
            return dags.random_graph(generator, vocabulary), REINITIALISE
        for _ in range(MAX_DRAWS):
            draft = dags.from_graph(generator, vocabulary, parent)
            for _ in range(generator.integers(1, max_mutations, endpoint=True)):
                move_constants(generator, draft)
                dags.mutate_structure(generator, vocabulary, draft)
            graph = draft.to_graph()
            if fits(graph, layout):
                return graph, MUTATION
        return dags.random_graph(generator, vocabulary), REINITIALISE

    def new_scale(generator: np.random.Generator, parent: float) -> tuple[float, str]:
        draw = generator.random()
        if draw < copy_probability:
            return parent, COPY
        if draw < reinitialise_probability:
            return scales.draw(generator), REINITIALISE
        for _ in range(generator.integers(1, max_mutations, endpoint=True)):
            parent = scales.mutate(generator, parent)
        return parent, MUTATION

    def crossed_scale(generator: np.random.Generator, first: float, second: float) -> float:
        if scale_crossover == FIRST:
            return first
        if scale_crossover == EITHER:
            return (first, second)[generator.integers(2)]
        return scales.on_grid((first + second) / 2, scale_step)

    def offspring(generator: np.random.Generator, branch: Branch, parents: Sequence[MarginLoss]) -> tuple[MarginLoss, str]:
        """Algorithm 3."""
        del branch
        first, second = parents
        child, words = first, []
        if generator.random() < crossover_probability:
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
        branches=(Branch(branch, form),),
        sample=sample,
        offspring=offspring,
        num_parents=2,
        hyperparameters=lambda candidate: {LOG2_SCALE: candidate[branch].log2_scale},
        with_hyperparameters=lambda candidate, values: {
            branch: dataclasses.replace(candidate[branch], log2_scale=values[LOG2_SCALE])
        },
        ranges={LOG2_SCALE: TuningRange(*tuned_scales, default=sum(tuned_scales) / 2)},
        problem="cosines",
        make_filters=make_filters,
        make_chooser=make_chooser,
        sections=("filters.properties", "search.chooser", "search.chooser.predictor"),
        drawing=DRAWING,
        latex_numbers={LOG2_SCALE: r"\log_2 s"},
        write_python=write_python,
    )
