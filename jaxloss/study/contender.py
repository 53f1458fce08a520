"""A loss that takes part in a comparison, and the settings among which its tuning chooses."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from scipy import stats

from jaxloss.core.family import LossFamily
from jaxloss.core.types import PyTree
from jaxloss.spaces.hyperparameters import TuningRange

FOUND, RANDOM_SEARCH, HANDCRAFTED, GIVEN = "found", "random_search", "handcrafted", "given"


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
      kind: `found`, `random_search`, `handcrafted` or `given`.
      family: space or hand-crafted family.
      formula: text form, for candidates of a space.
      tuning_trainings: with how many it is tuned, where it gets another number than the others.
    """

    name: str
    kind: str
    family: LossFamily
    formula: str | None = None
    tuning_trainings: int | None = None

    @property
    def label(self) -> str:
        """What it is called in tables: one loss may take part twice, tuned with two numbers of trainings."""
        return self.name if self.tuning_trainings is None else f"{self.name} ({self.tuning_trainings} tuning trainings)"

    @property
    def tuning_ranges(self) -> Mapping[str, TuningRange]:
        """Hyper-parameters of the loss itself, and where they are tuned; of those of its family, it may have only some."""
        own = self.family.customary(self.formula)
        return {name: span for name, span in self.family.tuning_ranges.items() if name in own}

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


def tuning_points(contender: Contender, count: int, low: float, high: float) -> list[TuningPoint]:
    """`count` points spread evenly over the learning rate and the contender's hyper-parameters.

    A loss without hyper-parameters gets an even logarithmic grid of rates; otherwise a Halton sequence covers the box.
    """
    if not contender.tuning_ranges:
        return [TuningPoint(float(rate)) for rate in np.geomspace(low, high, count)]
    spans = {"learning_rate": TuningRange(low, high, low, logarithmic=True), **contender.tuning_ranges}
    positions = stats.qmc.Halton(len(spans), scramble=False).random(count + 1)[1:]
    points = []
    for position in positions:
        values = {name: _scaled(span, x) for (name, span), x in zip(spans.items(), position, strict=True)}
        points.append(TuningPoint(values.pop("learning_rate"), values))
    return points


def _scaled(span: TuningRange, position: float) -> float:
    if span.logarithmic:
        return float(span.low * (span.high / span.low) ** position)
    return float(span.low + (span.high - span.low) * position)
