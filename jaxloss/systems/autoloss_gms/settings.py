"""The numbers of AutoLoss-GMS's space: Table 2."""

import dataclasses

from jaxloss.core.conditions import in_mode, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, is_finite, setting
from jaxloss.systems.autoloss_gms import dags

# Eq. 7 is not in the text that is at hand: what becomes of the scale when a graph of another loss comes in.
MEAN, FIRST, EITHER = SCALE_CROSSOVERS = ("mean", "first", "either")
# Nor is Eq. 8: how a number moves. Published constants (0.22, 0.84, 1.3) lie between the steps and above 1: they move freely.
NORMAL, GRID = NUMBER_MUTATIONS = ("normal", "grid")

# Other searches have no offspring.
EVOLVED = (in_mode("search"), when("search.name", "evolution"))


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
