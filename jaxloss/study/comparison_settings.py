"""How finished losses are compared, as far as the user says it."""

import dataclasses
from typing import Any

from jaxloss.core.conditions import Where, in_mode, unless, when
from jaxloss.core.draws import FOLLOWS, moved
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, are_different, setting

IN_SEARCH, COMPARED = (in_mode("search"),), (in_mode("search", "compare"),)
TUNED = (in_mode("search", "compare", "lockstep"),)
# The losses that are compared without a search are named by another key.
HAS_RIVALS = Where(in_mode("search"), unless("comparison.handcrafted", ()))


# Seeds are counted up from `comparison.seed`: those of the ranking from it, those of the other stages from here on.
_TUNING, _TEST, _BEST_OF, _SHORTENING = 1000, 2000, 3000, 4000
# Trainings of each proposal of a step that shortens a loss, and of one that may take its place. With fewer there is no standard
# error.
FIRST_LOOK, WHOLE_LOOK = 3, 9


def _check_divisions(key: str, divisions: Any) -> None:
    if not all(type(one) is int and 0 <= one < 2**31 for one in divisions) or len(set(divisions)) < len(divisions):
        raise UserError(
            f"config key {key} must name different divisions of the data by their numbers, for example (0, 1), or be () for "
            "those that seed draws"
        )


def _drawn_divisions(settings: "ComparisonSettings", seed: int) -> tuple[int, ...]:
    return tuple(moved(number, seed) for number in range(settings.num_divisions))


def _drawn_seed(settings: "ComparisonSettings", seed: int) -> int:
    del settings
    return moved(10_000, seed)


GONE = {"tune_untuned": "a loss as it is, at the rate of the search, is always one of those that are tuned"}


@dataclasses.dataclass(frozen=True)
class ComparisonSettings(Settings, section="comparison", gone=GONE):
    """How finished losses are compared: ranked, tuned and tested.

    Raises:
      UserError: for numbers of trainings that do not fit together.
    """

    rank_candidates: int = setting(
        8, "Best candidates of a search that are trained again", low=1, high=10_000, may_change=True, acts_when=IN_SEARCH
    )
    rank_seeds: int = setting(3, "Fresh seeds of that", low=1, high=10_000, may_change=True, acts_when=IN_SEARCH)
    num_found: int = setting(
        3, "Found losses that go on to tuning and test", low=1, high=10_000, may_change=True, acts_when=IN_SEARCH
    )
    tuning_trainings: int = setting(
        24,
        "Of every contender, for all stages of tuning together",
        low=1,
        high=1_000_000,
        may_change=True,
        acts_when=TUNED,
    )
    tuning_finalists: int = setting(
        3,
        "Points that are trained again on fresh seeds: the loss as it is, always, and the best others",
        low=2,
        high=10_000,
        may_change=True,
        acts_when=TUNED,
    )
    tuning_seeds: int = setting(3, "Seeds of that", low=1, high=10_000, may_change=True, acts_when=TUNED)
    learning_rate_low: float = setting(
        0.003,
        "From where the rate is tuned, logarithmically; beyond it, too, where the best rate lies at the edge",
        low=1e-9,
        high=1e6,
        may_change=True,
        acts_when=TUNED,
    )
    learning_rate_high: float = setting(3.0, "To where", low=1e-9, high=1e6, may_change=True, acts_when=TUNED)
    test_seeds: int = setting(5, "Trainings for the test on each division of the data", low=1, high=10_000, may_change=True)
    num_divisions: int = setting(
        2,
        "So many divisions of the data, drawn by seed; a search is on the first of them",
        low=1,
        high=10_000,
        # What may not change is the divisions that were drawn.
        may_change=True,
        acts_when=(when("comparison.divisions", ()),),
    )
    divisions: tuple[int, ...] = setting(
        (),
        "The divisions by their numbers, whatever seed says; (): those that it draws, 0 and on for seed 0",
        check=_check_divisions,
        formerly=("comparison.splits",),
        drawn=_drawn_divisions,
    )
    margin: float = setting(
        0.005,
        "A loss is 'not behind' a rival when the interval of the difference stays above minus this",
        low=0.0,
        high=1.0,
        may_change=True,
        acts_when=TUNED,
    )
    seed: int = setting(
        FOLLOWS,
        f"First of the fresh seeds, whatever seed says; {FOLLOWS}: it follows from seed, 10000 for seed 0",
        low=FOLLOWS,
        high=2**30,
        may_change=True,
        drawn=_drawn_seed,
    )
    handcrafted: tuple[str, ...] = setting(
        ("cross_entropy", "label_smoothing", "focal", "mae", "gce", "sce", "nce_rce", "jensen_shannon", "soft_f1"),
        "The rivals of a search: names of hand-crafted losses, or of those that papers published",
        check=are_different("formulas or names"),
        may_change=True,
        acts_when=(in_mode("search", "lockstep", is_preset=False),),
    )
    diagnosis: bool = setting(
        True,
        "The report says what the best loss does, and its best rival: poles, where it falls, what it weighs; takes some seconds",
        may_change=True,
        acts_when=(in_mode("search", "compare", "train"),),
    )
    term_ablation: bool = setting(
        False,
        "Train the best loss without each of its top-level terms, too: as many trainings for a term as the test has for a loss",
        may_change=True,
        acts_when=COMPARED,
    )
    shortening_trainings: int = setting(
        0,
        "So many trainings look for a shorter form of the best found loss that is as good on search_eval, "
        f"{2 * WHOLE_LOOK} at least; 0: none",
        low=0,
        high=1_000_000,
        may_change=True,
        acts_when=IN_SEARCH,
    )
    best_rival_trainings: int = setting(
        0,
        "The best rival takes part once more, tuned with so many trainings, such as those of a whole search; 0: it does not",
        low=0,
        high=1_000_000,
        may_change=True,
        acts_when=(*COMPARED, HAS_RIVALS),
    )

    def __post_init__(self):
        super().__post_init__()
        if self.learning_rate_low > self.learning_rate_high:
            raise UserError(
                f"comparison.learning_rate_low ({self.learning_rate_low:g}) must not be above comparison.learning_rate_high "
                f"({self.learning_rate_high:g})"
            )
        if self.test_seeds * (len(self.divisions) or self.num_divisions) < 2:
            raise UserError(
                "comparison.test_seeds x the number of comparison.divisions must be at least 2: one pair has no interval"
            )
        least = self.tuning_finalists * (self.tuning_seeds + 1)
        if self.tuning_trainings < least:
            raise UserError(
                f"comparison.tuning_trainings must be at least tuning_finalists x (tuning_seeds + 1) = {least}, "
                f"not {self.tuning_trainings}"
            )
        # Those of the whole loss, and of one that takes its place.
        if 0 < self.shortening_trainings < 2 * WHOLE_LOOK:
            raise UserError(
                f"comparison.shortening_trainings ({self.shortening_trainings}) must be 0, or at least {2 * WHOLE_LOOK}: "
                f"{WHOLE_LOOK} of the loss, and {WHOLE_LOOK} of a shorter form"
            )
        if 0 < self.best_rival_trainings < self.tuning_trainings:
            raise UserError(
                f"comparison.best_rival_trainings ({self.best_rival_trainings}) must be 0, or at least "
                f"comparison.tuning_trainings ({self.tuning_trainings})"
            )

    @property
    def first_tuning_seed(self) -> int:
        """Of the wide look; those of the finals come behind it."""
        return self.seed + _TUNING

    @property
    def first_test_seed(self) -> int:
        """Of the test, and of the network that is kept."""
        return self.seed + _TEST

    def division_of(self, index: int) -> int:
        """The division of one of several seeds, which go round the divisions."""
        return self.divisions[index % len(self.divisions)]

    @property
    def first_best_of_seed(self) -> int:
        """Of networks of which only the best is tested."""
        return self.seed + _BEST_OF

    @property
    def first_shortening_seed(self) -> int:
        """Of the trainings by which a loss is made shorter."""
        return self.seed + _SHORTENING

    @property
    def test_pairs(self) -> list[tuple[int, int]]:
        """(division, seed) of every training of one loss for the test."""
        return [(division, self.first_test_seed + seed) for division in self.divisions for seed in range(self.test_seeds)]
