"""The numbers of AutoLoss-Zero's space."""

import dataclasses
import keyword
from collections.abc import Mapping, Sequence

from jaxloss.core.conditions import in_mode, unless, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, are_different, is_finite, options, setting

# What a loss has to read: from the one it learns, the other says what is right.
PREDICTION, TARGET = "prediction", "target"
# How often each class occurs in training.
PRIOR = "prior"
# What formulas and exported functions mean by these words.
_RESERVED = ("const", "epsilon", "mask", "weights")

# Other searches have no offspring.
EVOLVED = (in_mode("search"), when("search.name", "evolution", "generations"))


def _check_weights(key: str, weights: tuple[float, ...]) -> None:
    if not all(is_finite(weight) and weight > 0 for weight in weights):
        raise UserError(f"config key {key} must hold finite numbers above 0, not {tuple(weights)}")


def _check_range(key: str, span: tuple[float, float]) -> None:
    if len(span) != 2 or not all(is_finite(end) and end > 0 for end in span) or not span[0] < span[1]:
        raise UserError(f"config key {key} must be two finite numbers above 0, the lower first, not {tuple(span)}")


def _check_inputs(key: str, names: tuple[str, ...]) -> None:
    _check_names(key, names)
    if missing := [name for name in (PREDICTION, TARGET) if name not in names]:
        raise UserError(f"config key {key} must have {PREDICTION} and {TARGET} among its names, and lacks {missing[0]}")


def _check_names(key: str, names: tuple[str, ...]) -> None:
    are_different("names of arrays")(key, names)
    if not names:
        raise UserError(f"config key {key} must name one array at least")
    for name in names:
        if not (name.isidentifier() and name.islower()) or keyword.iskeyword(name) or name in _RESERVED:
            raise UserError(f"config key {key} takes words of small letters, such as prior, not '{name}'")


GONE = {
    "factor_probability": "numbers of a formula are tuned, see tuned_factors; a mutation of them did harm",
    "crossover_probability": "children of two parents were no better over ten searches; sums with random terms are: term_probability",
}


@dataclasses.dataclass(frozen=True)
class AutoLossZeroSettings(Settings, section="space.autoloss_zero", gone=GONE):
    """Loss graphs from primitive operators, from scratch (AutoLoss-Zero, CVPR 2022).

    Raises:
      UserError: for branches without weights, and when no random tree can fit.
    """

    branches: tuple[str, ...] = setting(("classification",), "Names of the loss branches, one graph each")
    branch_weights: tuple[float, ...] = setting((1.0,), "Of the branches in the sum", check=_check_weights)
    inputs: tuple[str, ...] = setting(
        (PREDICTION, TARGET),
        "What formulas may read; the task has to offer it. prior, of classification, is how often each class occurs in training",
        check=_check_inputs,
    )
    branch_inputs: Mapping[str, Sequence[str]] = options(
        "Branch -> what its formulas may read in place of inputs, such as the areas of boxes; a formula has to read one "
        "of them at least"
    )
    fixed_losses: Mapping[str, str] = options(
        "Branch -> the loss that it has while the others are searched: a hand-crafted one, or a formula"
    )
    fixed_weights: Mapping[str, float] = options("Branch with a fixed loss -> its factor in the sum; 1 where nothing is said")
    initial_depth: int = setting(
        3, "`D`, operators on each path of a random tree", low=1, high=10, acts_when=(in_mode("search"),)
    )
    # An edit that would not fit is drawn again. The paper has no bound.
    max_instructions: int = setting(24, "The most operators of a formula whose equal parts are merged", low=1, high=10_000)
    max_constants: int = setting(4, "How many different numbers a formula may hold; random trees use only 1", low=1, high=1_000)
    tuned_factors: int = setting(
        0, "The most factors inside a found loss that a comparison tunes beside the rate; the paper has none", low=0, high=100
    )
    tuned_factor_range: tuple[float, float] = setting(
        (0.25, 4.0),
        "Where they are tuned, logarithmically",
        check=_check_range,
        acts_when=(unless("space.autoloss_zero.tuned_factors", 0),),
    )
    copy_probability: float = setting(0.1, "Of an offspring that is its parent", low=0.0, high=1.0, acts_when=EVOLVED)
    reinitialise_probability: float = setting(
        0.5, "Of a fresh random tree, where the parent is not copied", low=0.0, high=1.0, acts_when=EVOLVED
    )
    term_probability: float = setting(
        0.0,
        "Of the sum of the parent and a random tree, where there is no copy and no fresh tree; the paper has none",
        low=0.0,
        high=1.0,
        acts_when=EVOLVED,
    )
    num_mutations: int = setting(2, "One after the other, where neither happens", low=1, high=1_000, acts_when=EVOLVED)

    def __post_init__(self):
        super().__post_init__()
        if not self.branches or len(self.branches) != len(self.branch_weights):
            raise UserError(
                f"space.autoloss_zero has {len(self.branches)} branches and {len(self.branch_weights)} branch_weights: "
                "every branch, one at least, has one weight"
            )
        for branch, names in self.branch_inputs.items():
            if branch not in (*self.branches, *self.fixed_losses):
                raise UserError(
                    f"space.autoloss_zero.branch_inputs names the branch '{branch}', which is not among "
                    f"space.autoloss_zero.branches: {', '.join(self.branches)}"
                )
            if not isinstance(names, tuple | list):
                raise UserError(f"config key space.autoloss_zero.branch_inputs.{branch} takes names of arrays, not {names!r}")
            _check_names(f"space.autoloss_zero.branch_inputs.{branch}", tuple(names))
        for branch, text in self.fixed_losses.items():
            if branch in self.branches:
                raise UserError(
                    f"config key space.autoloss_zero.fixed_losses.{branch} is of a branch that is searched: "
                    f"space.autoloss_zero.branches are {', '.join(self.branches)}"
                )
            if not isinstance(text, str):
                raise UserError(
                    f"config key space.autoloss_zero.fixed_losses.{branch} takes the name of a loss, or a formula, not {text!r}"
                )
        for branch, weight in self.fixed_weights.items():
            if branch not in self.fixed_losses:
                raise UserError(
                    f"config key space.autoloss_zero.fixed_weights.{branch} does nothing: the branch is not among "
                    f"space.autoloss_zero.fixed_losses, {', '.join(self.fixed_losses) or 'of which there is none'}"
                )
            if not (is_finite(weight) and weight > 0):
                raise UserError(
                    f"config key space.autoloss_zero.fixed_weights.{branch} must be a finite number above 0, not {weight!r}"
                )
        if self.max_instructions < self.initial_depth:
            raise UserError(
                f"space.autoloss_zero.max_instructions ({self.max_instructions}) must not be below initial_depth "
                f"({self.initial_depth}): no random tree would fit"
            )

    def inputs_of(self, branch: str) -> tuple[str, ...]:
        """What the formulas of a branch may read."""
        return tuple(self.branch_inputs.get(branch, self.inputs))
