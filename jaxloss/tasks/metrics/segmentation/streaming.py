"""Metrics of semantic segmentation over a data set: state in, state out, of one device or of many."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.metrics.segmentation import exact_sums
from jaxloss.tasks.metrics.segmentation.boundary_rule import PAPERS_RULE, BoundaryRule
from jaxloss.tasks.metrics.segmentation.classes import check_num_classes, predicted_classes
from jaxloss.tasks.metrics.segmentation.registry import METRICS, find_metric
from jaxloss.tasks.metrics.segmentation.targets import SegmentationTargets, prepare_targets

# Name of a count -> int32 `[2, C]`, see `exact_sums`. States add up, leaf by leaf: `jax.lax.psum` merges those of devices.
Counts = Mapping[str, Array]


@dataclasses.dataclass(frozen=True)
class SegmentationMetrics:
    """Some metrics as pure functions, all jittable.

    All counts are pooled over the data set, so that how it is divided into batches and devices does not matter, to the bit.

    Attributes:
      num_classes: `C`, from 2 to 255.
      names: of the metrics, each in `registry.METRICS`.
      rule: of those that look at boundaries.

    Raises:
      UserError: for an unknown metric or a wrong number of classes.
    """

    num_classes: int
    names: tuple[str, ...] = tuple(METRICS)
    rule: BoundaryRule = PAPERS_RULE

    def __post_init__(self):
        check_num_classes(self.num_classes)
        for name in self.names:
            find_metric(name)

    def prepare(self, labels: Array, mask: Array | None = None) -> SegmentationTargets:
        """True labels with their boundaries, to be computed once; see `targets.prepare_targets`."""
        return prepare_targets(labels, self.num_classes, self.rule, mask)

    def start(self) -> Counts:
        """The state before the first batch."""
        return {name: exact_sums.exact_zeros((self.num_classes,)) for name in self._count_names}

    def update(self, state: Counts, predictions: Array, targets: SegmentationTargets) -> Counts:
        """The state behind one more batch.

        Args:
          state: what `start`, `update` or `merge` gave.
          predictions: probabilities or logits `[N, H, W, C]`, or classes, int `[N, H, W]`.
          targets: what `prepare` gave for the true labels of the batch.

        Raises:
          UserError: for shapes that do not fit, and for a batch of more than 2^30 positions.
        """
        found = _pooled(self._sample_counts(predictions, targets, self.names))
        return {name: exact_sums.add_exactly(state[name], found[name]) for name in self._count_names}

    def merge(self, states: Sequence[Counts]) -> Counts:
        """The state of all batches that any of the states has seen."""
        return jax.tree.map(lambda *leaves: exact_sums.carry(sum(leaves)), *states)

    def compute(self, state: Counts) -> dict[str, Array]:
        """Name of a metric -> scalar in `[0, 1]`; 0 where nothing was there to be judged."""
        totals = {name: exact_sums.as_float(count) for name, count in state.items()}
        return {name: METRICS[name].score(totals) for name in self.names}

    def of_classes(self, state: Counts) -> dict[str, Array]:
        """Name of a metric -> its value for each class, float32 `[C]`; NaN for classes that it leaves out."""
        totals = {name: exact_sums.as_float(count) for name, count in state.items()}
        found = {name: METRICS[name].of_classes(totals) for name in self.names}
        return {name: jnp.where(weights > 0, values, jnp.nan) for name, (values, weights) in found.items()}

    def score(self, name: str, predictions: Array, targets: SegmentationTargets) -> Array:
        """One metric of one batch, a scalar in `[0, 1]`: of a single sample in the rejection protocol.

        Args:
          name: of the metric.
          predictions: as of `update`.
          targets: what `prepare` gave for the true labels, `mask` included.

        Raises:
          UserError: for an unknown name and for shapes that do not fit.
        """
        metric = find_metric(name)
        return metric.score(_as_float(_pooled(self._sample_counts(predictions, targets, (name,)))))

    def can_be_judged(self, name: str, targets: SegmentationTargets) -> Array:
        """Whether a sample has anything that a metric looks at, bool `[N]`: an image without boundaries has no boundary F1.

        The metric of such a sample is 0, whatever is predicted: it is of no use in the rejection protocol.
        """
        counted = METRICS[name].count(jnp.full_like(targets.classes, self.num_classes), targets, self.num_classes, self.rule)

        def weighs(counts: Mapping[str, Array]) -> Array:
            return METRICS[name].of_classes(_as_float(counts))[1].sum() > 0

        return jax.vmap(weighs)(counted)

    @property
    def _count_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(count for name in self.names for count in METRICS[name].reads))

    def _sample_counts(self, predictions: Array, targets: SegmentationTargets, names: Sequence[str]) -> dict[str, Array]:
        predicted = predicted_classes(jnp.asarray(predictions), self.num_classes)
        if predicted.shape != targets.classes.shape:
            raise UserError(
                f"predictions for {list(targets.classes.shape)} labels are to be of the same N, H, W, not {list(predicted.shape)}"
            )
        if predicted.size > exact_sums.LARGEST_PART:
            raise UserError(f"a batch has at most {exact_sums.LARGEST_PART} positions, not {predicted.size}: make it smaller")
        found: dict[str, Any] = {}
        for count in dict.fromkeys(METRICS[name].count for name in names):
            found |= count(predicted, targets, self.num_classes, self.rule)
        return found


def _pooled(counts: Mapping[str, Array]) -> dict[str, Array]:
    return {name: count.sum(axis=0, dtype=jnp.int32) for name, count in counts.items()}


def _as_float(counts: Mapping[str, Array]) -> dict[str, Array]:
    return {name: count.astype(jnp.float32) for name, count in counts.items()}
