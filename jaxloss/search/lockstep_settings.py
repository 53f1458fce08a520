"""Learning a loss while networks train, as far as the user says it."""

import dataclasses

from jaxloss.core.conditions import in_mode, when
from jaxloss.core.settings import Settings, setting

# Which losses a network is trained with when the schedule of another training is repeated.
WINNERS, CENTRES, NONE = REPLAYS = ("winners", "centres", "none")
# Where the learning rate of the networks comes from.
RIVAL, GIVEN, SEARCHED = RATES = ("rival", "given", "searched")


@dataclasses.dataclass(frozen=True)
class LockstepSettings(Settings, section="lockstep", acts_when=(in_mode("lockstep"),)):
    """Copies of one network train side by side, each with a loss of its own; the best one goes on, and losses are learned.

    Li et al., ICCV 2019, Algorithm 1. A whole search is made for each seed and division of the comparison.
    """

    num_samples: int = setting(32, "`B`, copies of the network, each with a loss of its own", low=2, high=1_000_000)
    epochs_per_round: float = setting(1.0, "After so many the best copy takes the place of all", low=1e-6, high=10_000.0)
    # The paper keeps the rate of the baseline. A loss that is learned may want another one.
    rate: str = setting(
        RIVAL,
        "Learning rate of the networks. rival: the tuned one of the first of comparison.handcrafted; given: "
        "training.learning_rate; searched: the best on search_eval of rate_searches whole searches, with learning and without",
        choices=RATES,
    )
    rate_searches: int = setting(
        5,
        "Searches for the rate, from comparison.learning_rate_low to _high, at the middles of equal parts, logarithmically",
        low=2,
        high=1_000,
        acts_when=(when("lockstep.rate", SEARCHED),),
    )
    most_failures: int = setting(
        3, "A round in which all copies met NaN is drawn again, so many times in a row; then the search ends", low=1, high=1_000
    )
    random: bool = setting(True, "Control: the same without learning, losses drawn from the distribution as it began")
    replay: str = setting(
        WINNERS,
        "Control: a fresh network trained with the losses that won each round of another search, or with the centres",
        choices=REPLAYS,
    )
    last: bool = setting(True, "Control: a fresh network trained with the last centre of another search")
    fixed: bool = setting(True, "Control: a fresh network trained with the one loss that had the best reward of another search")
    longer: bool = setting(True, "Control of the cost: the first of comparison.handcrafted, trained num_samples times longer")
    best_of: bool = setting(
        True, "Control of the cost: the best by search_eval of num_samples networks of the first of comparison.handcrafted"
    )
