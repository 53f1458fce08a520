"""A loss that takes part in a comparison, and how it may be trained."""

import dataclasses
from collections.abc import Mapping

from jaxloss.core.family import LossFamily
from jaxloss.core.types import PyTree
from jaxloss.spaces.hyperparameters import TuningRange

FOUND, RANDOM_SEARCH, HANDCRAFTED, PUBLISHED, GIVEN = "found", "random_search", "handcrafted", "published", "given"
# What people have, which a found loss is to surpass.
RIVALS = (HANDCRAFTED, PUBLISHED)
# A known loss that was given as much as a search takes: no rival of its own, but what the effort alone is worth.
CONTROL = "control"
# What is left of the best found loss, see `study.shortening`.
SHORTENED = "shortened"
# What stands behind the name of a loss that is tuned with a number of trainings of its own, before that number.
TUNING_WORDS = " ("


@dataclasses.dataclass(frozen=True)
class TuningPoint:
    """The learning rate and the hyper-parameters of one training."""

    learning_rate: float
    hyperparameters: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Contender:
    """A loss that takes part.

    Attributes:
      name: of the loss.
      kind: `found`, `random_search`, `handcrafted`, `published` (a formula of a paper, by its name), `given`, `control` or
        `shortened`.
      family: space or hand-crafted family.
      formula: text form, for candidates of a space.
      tuning_trainings: with how many it is tuned, where it gets another number than the others.
      rate_alone: only its rate is tuned: what could be tuned besides are numbers of the formula already.
    """

    name: str
    kind: str
    family: LossFamily
    formula: str | None = None
    tuning_trainings: int | None = None
    rate_alone: bool = False

    @property
    def label(self) -> str:
        """What it is called in tables: one loss may take part twice, tuned with two numbers of trainings."""
        return (
            self.name if self.tuning_trainings is None else f"{self.name}{TUNING_WORDS}{self.tuning_trainings} tuning trainings)"
        )

    @property
    def tuning_ranges(self) -> Mapping[str, TuningRange]:
        """Hyper-parameters of the loss itself, and where they are tuned; of those of its family, it may have only some."""
        own = {} if self.rate_alone else self.family.customary(self.formula)
        return {name: span for name, span in self.family.tuning_ranges.items() if name in own}

    @property
    def fixed(self) -> Mapping[str, float]:
        """Hyper-parameters that no tuning changes: those of the formula where only the rate is tuned."""
        return self.family.customary(self.formula) if self.rate_alone else {}

    def default(self, learning_rate: float) -> TuningPoint:
        """Customary hyper-parameters, or those of the formula, at a given rate: the untuned loss."""
        return TuningPoint(learning_rate, self.family.customary(self.formula))

    @property
    def identity(self) -> str:
        """What trainings are stored under: two contenders with one formula share them."""
        return self.formula or self.label

    def encode(self, point: TuningPoint) -> PyTree:
        """The candidate with the hyper-parameters of a point, as arrays."""
        return self.family.tuned(self.formula, point.hyperparameters)
