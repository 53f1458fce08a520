"""The search: its algorithm and its budget."""

import dataclasses

from jaxloss.core.conditions import in_mode, unless, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, are_different, setting
from jaxloss.search.presets import PAPER, PRESETS

_PREDICTED = (unless("search.surrogate.candidates", 1),)


@dataclasses.dataclass(frozen=True)
class SurrogateSettings(Settings, section="search.surrogate", acts_when=(in_mode("search"),)):
    """Trains the most promising of several candidates, by a Gaussian process over gradients of the network's outputs."""

    candidates: int = setting(
        1,
        "Candidates past the filters, of which the most promising is trained; 1 trains all, as the papers do",
        low=1,
        high=100_000,
        acts_when=(unless("search.name", "generations"),),
    )
    start_after: int = setting(20, "Trained candidates before anything is predicted", low=2, high=10**9, acts_when=_PREDICTED)
    optimism: float = setting(
        2.0,
        "Standard deviations that a prediction is raised by, drawn for each generation with this mean: the more, the more is "
        "tried that is unlike all others",
        low=0.0,
        high=100.0,
        acts_when=_PREDICTED,
    )


@dataclasses.dataclass(frozen=True)
class SearchSettings(Settings, section="search", acts_when=(in_mode("search"),)):
    """The search for losses: its algorithm and its budget.

    Raises:
      UserError: for a budget that is not enough for one candidate.
    """

    name: str = setting("evolution", "The algorithm")
    preset: str = setting(
        PAPER,
        "paper: every key as it is; strong: what found better losses, for keys that have their defaults still and are not named "
        "on the command line. A run says what was set",
        choices=PRESETS,
    )
    num_trainings: int = setting(
        500,
        "The budget: trainings on the proxy task (Li et al., CVPR 2022, Appendix A: 500)",
        low=1,
        high=10**9,
        may_change=True,
    )
    restarts: int = setting(
        1,
        "Searches one after the other, each with num_trainings and draws of its own, and as many of the control: what all found "
        "is compared, and the best on search_eval is the loss of the run",
        low=1,
        high=1_000,
        may_change=True,
    )
    seeds_per_candidate: int = setting(
        1, "Trainings of a candidate, whose score is their mean; the papers train once", low=1, high=10_000
    )
    divisions_per_candidate: int = setting(
        1,
        "Divisions of the data that the trainings of a candidate go round, the first of comparison.divisions; the papers use one",
        low=1,
        high=10_000,
    )
    racing_first: int = setting(
        0,
        "Trainings after which a candidate is judged first: the best go on to racing_factor times as many, up to "
        "seeds_per_candidate; 0: all candidates have all their trainings, as in the papers",
        low=0,
        high=10_000,
    )
    racing_factor: int = setting(3, "One in so many goes on", low=2, high=1_000, acts_when=(unless("search.racing_first", 0),))
    calibration_trainings: int = setting(
        0,
        "Of num_trainings, those that find the rate of the search with a hand-crafted loss; 0: it is training.learning_rate",
        low=0,
        high=10**9,
    )
    calibration_loss: str = setting(
        "", "That loss; empty: the first of comparison.handcrafted", acts_when=(unless("search.calibration_trainings", 0),)
    )
    generation_size: int = setting(
        1,
        "Proposals that share one population; 1 is the steady state of most papers. Of search.name=generations `N`, all that "
        "are drawn, of which a few are trained",
        low=1,
        high=100_000,
    )
    seeds: tuple[str, ...] = setting(
        (),
        "Formulas that are proposed first, or names of losses that the space knows",
        check=are_different("formulas"),
        acts_when=(when("search.name", "evolution", "generations"),),
    )
    prior_knowledge: bool = setting(
        False,
        "Whether hand-crafted losses are proposed behind search.seeds, as far as the space can write them",
        acts_when=(when("search.name", "evolution", "generations"),),
    )
    control: bool = setting(
        True,
        "Runs random search with the same number of trainings and the same filters, as a control",
        acts_when=(unless("search.name", "random_search"),),
    )
    surrogate: SurrogateSettings = dataclasses.field(default_factory=SurrogateSettings)

    def __post_init__(self):
        super().__post_init__()
        if 0 < self.calibration_trainings < 2 * self.divisions_per_candidate:
            raise UserError(
                f"search.calibration_trainings ({self.calibration_trainings}) must be 0, or enough for two rates: "
                f"2 x search.divisions_per_candidate = {2 * self.divisions_per_candidate}"
            )
        first = self.racing_first or self.seeds_per_candidate
        if self.num_trainings < self.calibration_trainings + first:
            calibration = f" after search.calibration_trainings = {self.calibration_trainings}" * bool(self.calibration_trainings)
            raise UserError(
                f"search.num_trainings ({self.num_trainings}) is not enough for one candidate of "
                f"{'search.racing_first' if self.racing_first else 'search.seeds_per_candidate'} = {first}{calibration}"
            )
        if self.racing_first and self.racing_first >= self.seeds_per_candidate:
            raise UserError(
                f"search.racing_first ({self.racing_first}) must be less than search.seeds_per_candidate "
                f"({self.seeds_per_candidate}), or 0"
            )
        if self.divisions_per_candidate > self.seeds_per_candidate:
            raise UserError(
                f"search.divisions_per_candidate ({self.divisions_per_candidate}) needs as many trainings of a candidate, and "
                f"search.seeds_per_candidate is {self.seeds_per_candidate}"
            )


@dataclasses.dataclass(frozen=True)
class EvolutionSettings(Settings, section="search.evolution", acts_when=(in_mode("search"),)):
    """Regularised evolution with tournament selection (Li et al., CVPR 2022, Section 3.2)."""

    initial_population: int = setting(20, "`K`, random individuals before evolution starts", low=1, high=10**9)
    population_size: int = setting(2500, "`P`, only the most recent individuals may become parents", low=1, high=10**9)
    # A draw that is stopped is drawn again, with the choice between mutant and fresh tree: few of those that pass are fresh.
    immigrants: float = setting(
        0.0, "Share of the proposals that are random until one passes the filters, throughout the search", low=0.0, high=1.0
    )
    equivalents_breed: bool = setting(
        True, "Whether individuals that took over the score of an equivalent one may become parents, as in the paper"
    )
    # A small population needs more than 0.05, which of 20 individuals is a tournament of one and selects nothing.
    tournament_ratio: float = setting(
        0.05, "`T`, the part of the population among which the best becomes a parent", low=1e-9, high=1.0
    )


@dataclasses.dataclass(frozen=True)
class GenerationsSettings(Settings, section="search.generations", acts_when=(in_mode("search"),)):
    """Generational evolution from known losses (Liu et al., ICLR 2021, Algorithm 1)."""

    # The paper evaluates about ten losses of a generation, and says nothing of the parents.
    kept: int = setting(10, "`K`, the most promising of a generation, which are trained", low=1, high=100_000)
    parents: int = setting(5, "`P`, the best of a generation by their scores", low=1, high=100_000)
    threshold: bool = setting(
        True, "Whether losses have to promise as much as the best of the generation before them, as in the paper"
    )
    slack: float = setting(
        0.0, "How much less they may promise", low=0.0, high=1.0, acts_when=(when("search.generations.threshold", True),)
    )
