"""What a detection task offers to losses: classes of all locations, and the boxes of those that have one."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.boxes import area, around, overlap, quotient
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.data.boxes.source import BOXES, CONTENT, CROWD, IMAGE, LABELS, VALID
from jaxloss.tasks.detection.assignment import Assigned, Assignment, centreness
from jaxloss.tasks.detection.locations import Locations
from jaxloss.tasks.models.detection.network import DetectionNetwork
from jaxloss.tasks.models.network import linen_network

CLASSIFICATION, REGRESSION, QUALITY = "classification", "regression", "quality"
OFFERS = {
    CLASSIFICATION: ("prediction", "target", "logits", "overlap"),
    REGRESSION: ("intersection", "union", "enclosing", "distances", "target_distances"),
}
RANGES = {CLASSIFICATION: {"prediction": (0.0, 1.0), "target": (0.0, 1.0), "overlap": (0.0, 1.0)}}
# What areas are measured in.
OF_TARGET, STRIDES, PIXELS = AREA_UNITS = ("target", "strides", "pixels")
IOU, CENTRENESS, EVENLY = "iou", "centreness", "evenly"
QUALITY_TARGETS = (IOU, CENTRENESS)
REGRESSION_WEIGHTS = (CENTRENESS, EVENLY)

# Of the classes: each a question of its own, or all with background as the last of them.
SIGMOID, SOFTMAX = PROBABILITIES = ("sigmoid", "softmax")

AREAS = ("intersection", "union", "enclosing")
# See `Task.meanings`.
OVERLAP_MEANING = "overlap (IoU) of the predicted and the true box, without a gradient; 1 for background"
_UNITS = {OF_TARGET: "areas of the true box", STRIDES: "squares of the stride of a level", PIXELS: "pixels"}

Forward = Callable[[PyTree, Mapping[str, Array], Array], tuple[dict[str, LossInputs], PyTree]]


def area_meanings(unit: str) -> dict[str, str]:
    """What the three areas are, in words; `unit` in `AREA_UNITS`."""
    words = ("intersection of the predicted and the true box", "union of both", "smallest box that encloses both")
    return {name: f"{what}, in {_UNITS[unit]}" for name, what in zip(AREAS, words, strict=True)}


def areas_of(boxes: Array, wanted: Array, unit: str, strides: Array | float = 1.0) -> dict[str, Array]:
    """The three areas `[..., 1, 1]` of boxes with the true ones, `[..., 4]`.

    Args:
      boxes: that are predicted.
      wanted: the true ones.
      unit: in `AREA_UNITS`.
      strides: what boxes are measured in, in pixels; broadcasts to `[...]`.
    """
    found = overlap(boxes, wanted)
    if unit == OF_TARGET:
        whole = area(wanted)
        found = [quotient(one, whole) for one in found]
    elif unit == PIXELS:
        found = [one * strides**2 for one in found]
    return {name: one[..., None, None] for name, one in zip(AREAS, found, strict=True)}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Targets:
    """What is known of the locations of a batch.

    Attributes:
      assigned: classes and boxes.
      distances: float `[N, L, 4]`, from the location to the sides of its box, in strides; ones where there is none.
    """

    assigned: Assigned
    distances: Array


@dataclasses.dataclass(frozen=True, eq=False)
class BoxInputs:
    """Makes the inputs of losses from outputs and boxes. `[N, L, 1, C]`: the locations of all levels, one after the other.

    Attributes:
      num_classes: without background.
      locations: `L` of them.
      assignment: which of them learns what.
      area_unit: in `AREA_UNITS`. `target` divides all three areas by that of the true box, so that a perfect box has 1, 1, 1 and
        no loss depends on the scale of the objects; `strides` are the squares of the level's stride, `pixels` those of the image.
      quality_target: in `QUALITY_TARGETS`: the IoU of the box that is predicted, or the centreness of the location.
      regression_weights: in `REGRESSION_WEIGHTS`.
      probabilities: in `PROBABILITIES`; with `softmax` background is a class more, the last of `C`.
    """

    num_classes: int
    locations: Locations
    assignment: Assignment
    area_unit: str
    quality_target: str
    regression_weights: str
    probabilities: str = SIGMOID

    @property
    def has_background(self) -> bool:
        """Whether background is one of the classes that are predicted."""
        return self.probabilities == SOFTMAX

    @property
    def meanings(self) -> dict[str, dict[str, str]]:
        """See `Task.meanings`."""
        classes = "the classes, background the last" if self.has_background else "the classes, each a question of its own"
        return {
            CLASSIFICATION: {
                "prediction": f"probabilities of {classes}, the {self.probabilities} of the logits",
                "target": "one-hot, " + ("background the last class" if self.has_background else "zeros for background"),
                "logits": f"logits of {classes}",
                "overlap": OVERLAP_MEANING,
            },
            REGRESSION: {
                **area_meanings(self.area_unit),
                "distances": "predicted distances from a location to the left, top, right and bottom side of its box, in strides",
                "target_distances": "the true ones",
            },
        }

    def probability(self, logits: Array) -> Array:
        """Of logits `[..., C]`."""
        return jax.nn.softmax(logits) if self.has_background else jax.nn.sigmoid(logits)

    def targets(self, batch: Mapping[str, Array]) -> Targets:
        """What the locations are to learn from padded boxes.

        Args:
          batch: `boxes` `[N, K, 4]`, `labels`, `valid` and `crowd` `[N, K]`, and, where there may be padding around images,
            `content` `[N, 4]`.
        """
        boxes = (batch[name] for name in (BOXES, LABELS, VALID, CROWD))
        assigned = self.assignment.batch(self.locations, *boxes, batch.get(CONTENT))
        points, strides = self.locations.points[None], self.locations.strides[None, :, None]
        sides = jnp.concatenate([points - assigned.boxes[..., :2], assigned.boxes[..., 2:] - points], axis=-1) / strides
        return Targets(assigned, jnp.where(assigned.positive[..., None], sides, 1))

    def one_hot(self, labels: Array) -> Array:
        """Labels `[..., L]`, -1 for background, as `[..., L, 1, C]`: background is zeros, or the last class."""
        if self.has_background:
            return jax.nn.one_hot(jnp.where(labels < 0, self.num_classes, labels), self.num_classes + 1)[..., None, :]
        return jax.nn.one_hot(labels, self.num_classes)[..., None, :]

    def overlaps(self, distances: Array, targets: Targets) -> Array:
        """IoU of predicted and true boxes, `[N, L, 1, 1]`, without a gradient; 1 for background."""
        iou = overlap(around(distances), around(targets.distances)).iou
        return lax.stop_gradient(jnp.where(targets.assigned.positive, iou, 1))[..., None, None]

    def classification(self, logits: Array, distances: Array, targets: Targets) -> LossInputs:
        """`prediction`, `logits` and `target` `[N, L, 1, C]`, `overlap` `[N, L, 1, 1]`.

        The sum of the loss is divided by the number of positive locations (Tian et al., ICCV 2019, Eq. 2). Locations inside a
        crowd are left out, and those that show nothing but padding.

        Args:
          logits: `[N, L, C]`.
          distances: `[N, L, 4]`, of the same outputs.
          targets: of the batch.
        """
        arrays = {
            "prediction": self.probability(logits)[:, :, None],
            "target": self.one_hot(targets.assigned.labels),
            "logits": logits[:, :, None],
            "overlap": self.overlaps(distances, targets),
        }
        positives = jnp.sum(targets.assigned.positive, dtype=logits.dtype)
        return LossInputs.create(arrays, targets.assigned.counted[..., None, None], normaliser=positives)

    def regression(self, distances: Array, targets: Targets) -> LossInputs:
        """`intersection`, `union` and `enclosing` `[N, L, 1, 1]`, `distances` and `target_distances` `[N, L, 1, 4]`, in strides.

        Only positive locations count. The loss is their mean, weighed by the centreness of each location, or evenly.

        Args:
          distances: `[N, L, 4]`.
          targets: of the batch.
        """
        positive = targets.assigned.positive[..., None, None]
        arrays = {
            **self.areas(distances, targets.distances, self.locations.strides[None]),
            "distances": distances[:, :, None],
            "target_distances": targets.distances[:, :, None],
        }
        weights = None
        if self.regression_weights == CENTRENESS:
            weights = centreness(targets.distances)[..., None, None]
        return LossInputs.create(arrays, positive, weights)

    def areas(self, distances: Array, wanted: Array, strides: Array) -> dict[str, Array]:
        """The three areas `[N, L, 1, 1]` of distances `[N, L, 4]` in strides, in the unit that is asked for.

        Args:
          distances: that are predicted.
          wanted: the true ones.
          strides: in pixels, `[N, L]` or `[1, L]`.
        """
        return areas_of(around(distances), around(wanted), self.area_unit, strides)

    def quality(self, logits: Array, distances: Array, targets: Targets) -> LossInputs:
        """Logits and target of the quality of positive locations, `[N, L, 1, 1]`."""
        wanted = self.overlaps(distances, targets)
        if self.quality_target == CENTRENESS:
            wanted = centreness(targets.distances)[..., None, None]
        arrays = {"logits": logits[..., None, None], "target": wanted}
        return LossInputs.create(arrays, targets.assigned.positive[..., None, None])


def make_forward(network: DetectionNetwork, prepare: Callable[[Array], Array], inputs: BoxInputs) -> Forward:
    """`(variables, batch, key) -> ({branch: LossInputs}, variables)` in training mode.

    Args:
      network: the module.
      prepare: of images `[N, H, W, 3]`, in whatever form they come.
      inputs: of losses.
    """
    train = linen_network(network).train

    def forward(variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        found, updated = train(variables, prepare(batch[IMAGE]), key)
        targets = inputs.targets(batch)
        return {
            CLASSIFICATION: inputs.classification(found.logits, found.distances, targets),
            REGRESSION: inputs.regression(found.distances, targets),
            QUALITY: inputs.quality(found.quality, found.distances, targets),
        }, updated

    return forward


def auxiliary_losses(weight: float) -> dict[str, Callable[[LossInputs, str | None], Array]]:
    """The loss of the branch `QUALITY`: binary cross-entropy, whatever the candidate."""

    def loss(inputs: LossInputs, axis_name: str | None) -> Array:
        logits, target = (jnp.where(inputs.mask, inputs.arrays[name], 0) for name in ("logits", "target"))
        values = jax.nn.softplus(logits) - target * logits
        return weight * mean_loss(values, inputs, axis_name)

    return {QUALITY: loss}
