"""The numbers of AutoLoss-GMS, Table 2 and Section F: of its space, its properties, its chooser and the predictor of that."""

import dataclasses
from collections.abc import Sequence

from jaxloss.core.conditions import in_mode, unless, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, is_finite, setting
from jaxloss.systems.autoloss_gms import dags

# Eq. 7 is not in the text that is at hand: what becomes of the scale when a graph of another loss comes in.
MEAN, FIRST, EITHER = SCALE_CROSSOVERS = ("mean", "first", "either")
# Nor is Eq. 8: how a number moves. Published constants (0.22, 0.84, 1.3) lie between the steps and above 1: they move freely.
NORMAL, GRID = NUMBER_MUTATIONS = ("normal", "grid")

# Other searches have no offspring.
EVOLVED = (in_mode("search"), when("search.name", "evolution", "generations"))


def _check_scales(key: str, scales: tuple[float, float]) -> None:
    if len(scales) != 2 or not all(map(is_finite, scales)) or scales[0] > scales[1]:
        raise UserError(f"{key} must be (lowest, highest) log2 s, finite, not {tuple(scales)}")


@dataclasses.dataclass(frozen=True)
class AutoLossGMSSettings(Settings, section="space.autoloss_gms"):
    """Margin-based softmax losses of two searched curves (AutoLoss-GMS, CVPR 2022, Table 2).

    Raises:
      UserError: for probabilities out of order.
    """

    branch: str = setting("identity", "Name of the loss branch; the task gives it too")
    num_constants: int = setting(2, "`n_c`, constants in a graph", low=0, high=100)
    max_operators: int = setting(10, "`n_o`, operators in a graph", low=1, high=1_000)
    scale_step: float = setting(0.5, "`Delta_s`, between values of log2 s", low=1e-3, high=10.0)
    num_scales: int = setting(20, "`N_s`, values of log2 s, the first being scale_step", low=1, high=10_000)
    constant_step: float = setting(0.05, "`Delta_c`, between the values that constants begin with", low=1e-6, high=1e3)
    num_constant_values: int = setting(20, "`N_c` of them", low=1, high=10_000)
    crossover_probability: float = setting(
        0.6, "`p_c`, that one graph comes from a second parent", low=0.0, high=1.0, acts_when=EVOLVED
    )
    copy_probability: float = setting(
        0.1, "`p_copy`, of a part (graph or scale) that stays as it is", low=0.0, high=1.0, acts_when=EVOLVED
    )
    # Compared with the same draw after copy_probability, as printed.
    reinitialise_probability: float = setting(
        0.4, "`p_re`; a part is made anew with probability p_re - p_copy", low=0.0, high=1.0, acts_when=EVOLVED
    )
    max_mutations: int = setting(3, "`N_m`, from 1 to so many mutations otherwise", low=1, high=1_000, acts_when=EVOLVED)
    operator_sampling: str = setting(
        dags.PAIRS, "What is equally likely: pairs of an operator and its operands, or operators", choices=dags.SAMPLINGS
    )
    scale_crossover: str = setting(
        MEAN,
        "log2 s when a graph of the second parent comes in: the mean of both parents', the first's, or either",
        choices=SCALE_CROSSOVERS,
        acts_when=EVOLVED,
    )
    number_mutation: str = setting(
        NORMAL,
        "Constants and scale move by a normal step with the deviation of the grid's, or by one step of the grid",
        choices=NUMBER_MUTATIONS,
        acts_when=EVOLVED,
    )
    constant_precision: float = setting(
        0.01,
        "What constants are rounded to after a normal step; the scale stays on its grid",
        low=1e-9,
        high=1e3,
        acts_when=(*EVOLVED, when("space.autoloss_gms.number_mutation", NORMAL)),
    )
    # The paper tunes s alone for a new network.
    tuned_scales: tuple[float, float] = setting(
        (1.0, 7.0), "log2 s from where to where it is tuned for a comparison", check=_check_scales
    )

    def __post_init__(self):
        super().__post_init__()
        if self.copy_probability > self.reinitialise_probability:
            raise UserError(
                f"space.autoloss_gms.reinitialise_probability ({self.reinitialise_probability}) is compared with the same draw "
                f"as copy_probability ({self.copy_probability}), after it, and must not be below it"
            )


@dataclasses.dataclass(frozen=True)
class PropertySettings(Settings, section="filters.properties", acts_when=(in_mode("search"),)):
    """Properties of margin-based losses, judged on their curves (Gu et al., CVPR 2022, Table 2)."""

    enabled: bool = setting(True, "False describes the curves, and stops nothing")
    fraction: float = setting(
        0.8,
        "`tau_p`, the part of the points on which each property has to hold",
        low=0.0,
        high=1.0,
        acts_when=(when("filters.properties.enabled", True),),
    )
    num_points: int = setting(257, "`N`, points evenly spread over [-1, 1]", low=2, high=1_000_000)
    digits: int = setting(13, "`Gamma`, decimal places of the values that are compared", low=0, high=17)
    slopes: bool = setting(
        True,
        "Curves with detached parts are compared by the slopes that train, too; values alone cannot tell x from a detached x",
    )


ENABLED = (when("search.chooser.enabled", True),)


@dataclasses.dataclass(frozen=True)
class ChooserSettings(Settings, section="search.chooser", acts_when=(in_mode("search"),)):
    """Trains the most promising of several candidates, of losses that have curves (AutoLoss-GMS, Table 2)."""

    # From 2 on: one loss has no order.
    start_after: int = setting(
        100, "`E_0`, evaluated losses before the predictor is fitted for the first time", low=2, high=10**9, acts_when=ENABLED
    )
    update_every: int = setting(100, "`Delta E`, evaluated losses between two fits", low=1, high=10**9, acts_when=ENABLED)
    candidates: int = setting(10, "`N_p`, among which the most promising one is chosen", low=1, high=100_000, acts_when=ENABLED)
    enabled: bool = setting(False, "Whether anything is chosen")


# Of the network: ResNets with so many layers, see `predictor.resnet1d`; and the losses of an order, see `predictor.ranking`.
DEPTHS = (10, 18, 34, 50)
RANK_LOSSES = ("kendall", "logistic")
SCORE_SCALES = ("as_is", "standardised")
RANKED = (unless("search.chooser.predictor.rank_weight", 0.0),)


def _check_widths(key: str, widths: Sequence[int]) -> None:
    if not all(type(width) is int and width > 0 for width in widths):
        raise UserError(f"{key} takes whole numbers above 0, not {widths}")


@dataclasses.dataclass(frozen=True)
class PredictorSettings(Settings, section="search.chooser.predictor", acts_when=(in_mode("search"), *ENABLED)):
    """The numbers of section F, but for a small network: the paper's has depth 50 and width 64, minutes to fit on a CPU.

    Raises:
      UserError: for weights that are both 0.
    """

    depth: int = setting(10, "Layers of the network", choices=DEPTHS)
    width: int = setting(16, "Channels of its first stage", low=1, high=10_000)
    hidden: tuple[int, ...] = setting((), "Widths of the dense layers before the last", check=_check_widths)
    num_epochs: int = setting(200, "Passes over the evaluated losses", low=1, high=1_000_000)
    batch_size: int = setting(16, "Losses in a step", low=2, high=100_000)
    learning_rate: float = setting(0.0035, "Of SGD, constant", low=1e-12, high=1e6)
    momentum: float = setting(0.9, "Of SGD; the paper does not name one", low=0.0, high=1.0)
    rank_loss: str = setting("kendall", "Of the order of two losses", choices=RANK_LOSSES, acts_when=RANKED)
    rank_weight: float = setting(
        1.0, "`lambda`, of the rank loss beside the squared error; 0 is regression alone", low=0.0, high=1e6
    )
    rank_temperature: float = setting(0.01, "`tau`", low=1e-9, high=1e6, acts_when=RANKED)
    regression_weight: float = setting(1.0, "Of the squared error; 0 is ranking alone", low=0.0, high=1e6)
    # `tau` is in units of that deviation then. Predictions have the unit of the scores either way.
    score_scale: str = setting(
        "as_is", "standardised: the network learns scores with mean 0 and deviation 1", choices=SCORE_SCALES
    )

    def __post_init__(self):
        super().__post_init__()
        if self.rank_weight + self.regression_weight == 0:
            raise UserError("search.chooser.predictor.rank_weight and regression_weight must not both be 0")
