"""The filters that every space may use, as far as the user says it."""

import dataclasses

from jaxloss.core.conditions import SPACE, TASK, ReadBy, in_mode, when
from jaxloss.core.problem import LOGITS, MINIMUM_GAIN, PROBABILITY, VARIABLES, RejectionProblem
from jaxloss.core.settings import Settings, are_different, setting

IN_SEARCH = (in_mode("search"),)
ENABLED = (when("filters.rejection.enabled", True),)
# Softmax passes on a tenth of a gradient at its start, about: on logits the paper's rate stops losses that train networks well,
# soft F1 and the absolute error among them (experiments/search_strength).
_RATES = {PROBABILITY: 0.001, LOGITS: 0.01}


def _rate_of_the_variable(settings: "RejectionSettings", seed: int) -> float:
    del seed
    return settings.rate


@dataclasses.dataclass(frozen=True)
class RejectionSettings(Settings, section="filters.rejection", acts_when=IN_SEARCH):
    """The protocol that optimises bare predictions with a candidate (Li et al., CVPR 2022, Appendix A)."""

    iterations: int = setting(500, "Of gradient descent", low=1, high=1_000_000, acts_when=ENABLED)
    learning_rate: float = setting(
        0.0,
        f"Of SGD; 0: {_RATES[PROBABILITY]}, as printed, or {_RATES[LOGITS]} where logits are optimised",
        low=0.0,
        high=1e6,
        acts_when=ENABLED,
        drawn=_rate_of_the_variable,
    )
    # At 1 the velocity is a sum that never forgets.
    momentum: float = setting(0.9, "Of SGD", low=0.0, high=0.999999, acts_when=ENABLED)
    minimum_gain: float = setting(
        MINIMUM_GAIN,
        "`eta`; the metric has to rise by so much on average",
        low=-1.0,
        high=1.0,
        acts_when=(*ENABLED, when("filters.rejection.minimum_metric", 0.0)),
    )
    minimum_metric: float = setting(
        0.0,
        "What the metric has to reach, in place of a gain (Gu et al., CVPR 2022: 0.9); 0 asks for the gain",
        low=0.0,
        high=1.0,
        acts_when=ENABLED,
    )
    enabled: bool = setting(True, "Whether candidates go through the protocol at all")
    num_samples: int = setting(5, "`B`, samples whose predictions are optimised", low=1, high=100_000)
    variable: str = setting(
        PROBABILITY,
        "What is optimised: the prediction itself (as printed), or the logits that softmax is taken of",
        choices=VARIABLES,
        acts_when=(ReadBy(TASK),),
    )

    @property
    def rate(self) -> float:
        """The learning rate, which follows from what is optimised where none is given."""
        return self.learning_rate or _RATES[self.variable]

    def gain(self, problem: RejectionProblem) -> float:
        """By how much the mean metric of a problem has to rise."""
        if self.minimum_metric:
            return self.minimum_metric - float(problem.metrics(problem.start).mean())
        return self.minimum_gain


@dataclasses.dataclass(frozen=True)
class EquivalenceSettings(Settings, section="filters.equivalence", acts_when=(*IN_SEARCH, ReadBy(SPACE))):
    """Which losses are one, by the norms of their gradients."""

    significant_digits: int = setting(2, "Of the norms that are compared", low=1, high=17)
    scale_free: bool = setting(False, "Ignores the scale of the gradient, as Adam does")
    signed: bool = setting(False, "The signs of projections count too; norms alone (as printed) cannot tell L from -L")


@dataclasses.dataclass(frozen=True)
class FilterSettings(Settings, section="filters", acts_when=IN_SEARCH):
    """What throws candidates out before any network is trained."""

    batch: int = setting(64, "Draws that go through the filters together", low=1, high=100_000)
    width: int = setting(0, "Of them, how many one jitted call takes; 0: all", low=0, high=100_000)
    batching: str = setting("auto", "How many graphs are computed at once", choices=("auto", "blocks", "vmap"))
    max_attempts: int = setting(
        50_000, "Draws of one branch of one individual, after which the search gives up", low=1, high=10**9
    )
    also: tuple[str, ...] = setting((), "Further filters, each as module:factory", check=are_different("module:factory"))
    rejection: RejectionSettings = dataclasses.field(default_factory=RejectionSettings)
    equivalence: EquivalenceSettings = dataclasses.field(default_factory=EquivalenceSettings)
