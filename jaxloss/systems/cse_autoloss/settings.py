"""The numbers of CSE-Autoloss: of its space, and of convergence property verification."""

import dataclasses
from collections.abc import Mapping, Sequence

from jaxloss.core.conditions import When, in_mode, unless
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.settings import Settings, are_different, are_positive, options, setting
from jaxloss.graphs.operators.operator import Operator
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS, PUBLISHED, S_CURVES

CLASSIFICATION, REGRESSION = BRANCHES = ("classification", "regression")
# The same of a detector in two stages, in its second; the first stage is not searched.
SECOND_STAGE = (f"rcnn_{CLASSIFICATION}", f"rcnn_{REGRESSION}")
# What a branch that is not searched has where nothing is said (Section 4): cross-entropy, or the generalised overlap.
CUSTOMARY = {CLASSIFICATION: "cross_entropy", REGRESSION: "giou"}
# Of the first stage, as in MMDetection, whose settings the paper takes.
OF_FIRST_STAGE = {f"rpn_{CLASSIFICATION}": "cross_entropy", f"rpn_{REGRESSION}": "delta_l1"}
NONE = "none"

# Random search has no offspring.
EVOLVED = (in_mode("search"), unless("search.name", "random_search"))
_ONE_BRANCH = When("space.cse_autoloss.branches", lambda branches: len(branches) == 1, "space.cse_autoloss.branches of one name")


def kind_of(branch: str) -> str:
    """Whether a branch is one of classes or of boxes, by its name: `classification` or `regression`."""
    return REGRESSION if branch.endswith(REGRESSION) else CLASSIFICATION


def pair_of(branches: Sequence[str]) -> tuple[str, str]:
    """Both branches of the detector, or of its second stage, that some branches are of."""
    return SECOND_STAGE if branches[0] in SECOND_STAGE else BRANCHES


def _check_branches(key: str, names: tuple[str, ...]) -> None:
    are_different("names of branches")(key, names)
    if wrong := [name for name in names if name not in (*BRANCHES, *SECOND_STAGE)]:
        raise unknown(key, wrong[0], (*BRANCHES, *SECOND_STAGE))
    if not names:
        raise UserError(f"config key {key} must name one branch at least, of {', '.join((*BRANCHES, *SECOND_STAGE))}")
    if not {*names} <= {*pair_of(names)}:
        raise UserError(f"config key {key} must name branches of one detector, {' and '.join(pair_of(names))}, not {names}")


def _check_operators(key: str, names: tuple[str, ...]) -> None:
    are_different("names of operators")(key, names)
    known = [operator.name for operator in CSE_AUTOLOSS.visible]
    if wrong := [name for name in names if name not in known]:
        raise unknown(key, wrong[0], known)
    if not {operator.arity for operator in CSE_AUTOLOSS.visible if operator.name in names} >= {1, 2}:
        raise UserError(f"config key {key} must name one operator of one operand and one of two at least")


def _check_overlaps(key: str, values: tuple[float, ...]) -> None:
    are_positive(key, values)
    if not values or max(values) > 1:
        raise UserError(f"config key {key} must be numbers above 0, at most 1, not {tuple(values)}")


def _check_box(key: str, sides: tuple[float, float]) -> None:
    are_positive(key, sides)
    if len(sides) != 2:
        raise UserError(f"config key {key} must be a width and a height, not {tuple(sides)}")


@dataclasses.dataclass(frozen=True)
class CSEAutoLossSettings(Settings, section="space.cse_autoloss"):
    """Losses of object detection from primitive operators, one branch at a time (CSE-Autoloss, ICLR 2021, Section 3.1)."""

    branches: tuple[str, ...] = setting(
        (REGRESSION,),
        "The branches that are searched, of classification and regression, or of rcnn_classification and rcnn_regression of a "
        "detector in two stages; the paper searches one at a time",
        check=_check_branches,
    )  # fmt: skip
    fixed_loss: str = setting(
        "",
        "The loss of the other branch: a hand-crafted one, or a formula; empty: cross_entropy or giou, as in the paper; none: it "
        "is not trained",
        acts_when=(_ONE_BRANCH,),
    )
    fixed_losses: Mapping[str, str] = options(
        "Branch -> loss, of further branches that are not searched; those of the first stage of two have cross_entropy and "
        "delta_l1 where nothing is said"
    )
    classification_weight: float = setting(
        1.0, "Of this branch in the sum, that of the second stage where there are two", low=1e-9, high=1e9
    )
    regression_weight: float = setting(
        1.0, "Of this branch in the sum, that of the second stage where there are two", low=1e-9, high=1e9
    )
    s_curves: str = setting(
        PUBLISHED,
        "How gd, alf, erf and erfc are read: published (input and output rescaled, as in the authors' code), output (as the "
        "paper's footnote says), plain (as printed)",
        choices=S_CURVES,
    )
    # The paper says that they are fewer than those of classification, and not which. These write all losses of areas that it
    # names or found; formulas may hold any.
    regression_operators: tuple[str, ...] = setting(
        ("Add", "Sub", "Mul", "Div", "Neg", "Abs", "Exp", "Log", "Sqrt", "Tanh"),
        "What random parts of regression losses are made of",
        check=_check_operators,
    )
    initial_depth: int = setting(
        3,
        "Operators on each path of a random loss, where a search begins with none",
        low=1,
        high=10,
        acts_when=(in_mode("search"),),
    )
    # The paper has no bound; its largest loss has 15 operators.
    max_instructions: int = setting(32, "The most operators of a formula whose equal parts are merged", low=4, high=10_000)
    max_constants: int = setting(6, "How many different numbers a formula may hold", low=3, high=1_000)
    # The paper has the names, p_1 and p_2, and no numbers.
    crossover_probability: float = setting(
        0.5,
        "`p_1`, that a part of a second parent comes in",
        low=0.0,
        high=1.0,
        acts_when=EVOLVED,
    )
    mutation_probability: float = setting(
        0.8,
        "`p_2`, that a loss is mutated, after crossover",
        low=0.0,
        high=1.0,
        acts_when=EVOLVED,
    )
    max_mutations: int = setting(
        3,
        "From 1 to so many mutations, one after the other",
        low=1,
        high=1_000,
        acts_when=EVOLVED,
    )

    def __post_init__(self):
        super().__post_init__()
        for branch, text in self.fixed_losses.items():
            key = f"{self.key('fixed_losses')}.{branch}"
            if branch in pair_of(self.branches):
                raise UserError(f"config key {key} is of a branch that is searched, or whose loss is {self.key('fixed_loss')}")
            if not isinstance(text, str):
                raise UserError(f"config key {key} takes the name of a loss, or a formula, not {text!r}")

    @property
    def further_losses(self) -> dict[str, str]:
        """Branch -> loss, of branches that are neither searched nor the other one of the pair."""
        return {**(OF_FIRST_STAGE if pair_of(self.branches) == SECOND_STAGE else {}), **self.fixed_losses}

    def operators(self, branch: str) -> tuple[Operator, ...]:
        """Those that random parts of losses of a branch are made of."""
        visible = S_CURVES[self.s_curves].visible
        if kind_of(branch) == CLASSIFICATION:
            return visible
        return tuple(operator for operator in visible if operator.name in self.regression_operators)


@dataclasses.dataclass(frozen=True)
class VerificationSettings(Settings, section="filters.convergence", acts_when=(in_mode("search"),)):
    """Convergence property verification (Section 3.2.2): monotone and convergent, by values and gradients, on a grid.

    The paper has the properties, and none of these numbers.
    """

    enabled: bool = setting(True, "Whether losses that lack a property are stopped")
    num_points: int = setting(33, "Of the grid, along each path", low=3, high=10_000)
    score_range: float = setting(10.0, "Class scores go from minus to plus this number", low=0.1, high=80.0)
    overlaps: tuple[float, ...] = setting(
        (1.0,), "Overlaps of prediction and truth at which losses of classification are looked at", check=_check_overlaps
    )
    gradient_left: float = setting(
        0.05, "The share of the largest gradient that may be left at the largest positive class score", low=0.0, high=1.0
    )
    box_size: tuple[float, float] = setting(
        (96.0, 64.0), "Width and height of the target box, in the unit in which the task gives areas", check=_check_box
    )
    farthest: float = setting(
        3.0,
        "How far predictions move away, in sizes of the target box; they grow and shrink by one plus this",
        low=0.1,
        high=100.0,
    )
    tolerance: float = setting(
        1e-6, "What counts as no change, relative to the range of the values, or to the largest gradient", low=0.0, high=0.1
    )
