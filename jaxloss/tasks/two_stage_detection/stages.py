"""Both stages of a detector, one after the other: in training on sampled regions, else on all proposals."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.data.boxes.source import BOXES, CROWD, IMAGE, VALID
from jaxloss.tasks.models.detection.two_stage import FirstStage, SecondStage, TwoStageNetwork
from jaxloss.tasks.two_stage_detection.inputs import (
    RCNN_CLASSIFICATION,
    RCNN_REGRESSION,
    RPN_CLASSIFICATION,
    RPN_REGRESSION,
    StageInputs,
)
from jaxloss.tasks.two_stage_detection.proposals import Proposer
from jaxloss.tasks.two_stage_detection.regions import Regions, RegionSampler, taken


class Passed(NamedTuple):
    """What both stages make of a batch in training.

    Attributes:
      branches: the inputs of the losses.
      variables: with updated statistics.
      pyramid: of the first stage.
      regions: the sampled proposals, positive ones first.
    """

    branches: dict[str, LossInputs]
    variables: PyTree
    pyramid: tuple[Array, ...]
    regions: Regions


@dataclasses.dataclass(frozen=True, eq=False)
class Stages:
    """The two stages as pure functions over plain variables.

    Attributes:
      network: the module.
      prepare: of images `[N, H, W, 3]`, in whatever form they come.
      proposer: between the stages.
      samplers: of anchors and of proposals.
      inputs: of the losses of both stages.
    """

    network: TwoStageNetwork
    prepare: Callable[[Array], Array]
    proposer: Proposer
    samplers: tuple[RegionSampler, RegionSampler]
    inputs: tuple[StageInputs, StageInputs]

    def init(self, key: Array, images: Array) -> PyTree:
        """Variables for images of any size."""
        return self.network.init(key, images)

    def first(self, variables: PyTree, images: Array, key: Array) -> tuple[FirstStage, PyTree]:
        """The first stage in training mode; the second output has the updated statistics."""
        statistics = [name for name in variables if name != "params"]
        found, updated = self.network.apply(
            variables,
            self.prepare(images),
            train=True,
            method=self.network.propose,
            mutable=statistics,
            rngs={"dropout": key},
        )
        return found, {**variables, **updated}

    def second(self, variables: PyTree, pyramid: tuple[Array, ...], boxes: Array, valid: Array) -> SecondStage:
        """The second stage for boxes `[N, R, 4]` in pixels, some of them padding; the same in training and evaluation."""
        return self.network.apply(variables, pyramid, boxes, valid, method=self.network.classify)

    def proposals(self, first: FirstStage) -> tuple[Array, Array]:
        """Boxes `[N, P, 4]` and where there is one, see `Proposer`."""
        return self.proposer(jax.nn.softmax(first.logits)[..., 0], first.deltas)

    def anchors(self, count: int) -> tuple[Array, Array]:
        """Those of every image, `[N, A, 4]`, all of them valid, `[N, A]`."""
        anchors = jnp.broadcast_to(self.proposer.anchors, (count, *self.proposer.anchors.shape))
        return anchors, jnp.ones(anchors.shape[:2], bool)

    def forward(self, variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        """The inputs of the losses of all four branches, in training mode; see `Task.forward`."""
        passed = self.passed(variables, batch, key)
        return passed.branches, passed.variables

    def passed(self, variables: PyTree, batch: Mapping[str, Array], key: Array) -> Passed:
        """Both stages in training mode.

        The true boxes are among the proposals, as in Fast R-CNN's training, and no gradient goes through the sides of these.
        """
        forward_key, anchor_key, proposal_key = jax.random.split(key, 3)
        first, variables = self.first(variables, batch[IMAGE], forward_key)
        anchors = self.samplers[0](anchor_key, *self.anchors(len(batch[IMAGE])), batch)
        boxes, valid = self.proposals(first)
        boxes = jnp.concatenate([boxes, batch[BOXES]], axis=1)
        valid = jnp.concatenate([valid, batch[VALID] & ~batch[CROWD]], axis=1)
        regions = self.samplers[1](proposal_key, boxes, valid, batch)
        second = self.second(variables, first.pyramid, regions.boxes, regions.counted)
        of_anchors, of_regions = self.inputs
        anchor_logits, anchor_deltas = taken(first.logits, anchors), taken(first.deltas, anchors)
        region_deltas = of_regions.deltas_of(second.deltas, regions)
        branches = {
            RPN_CLASSIFICATION: of_anchors.classification(anchor_logits, of_anchors.overlaps(anchor_deltas, anchors), anchors),
            RPN_REGRESSION: of_anchors.regression(anchor_deltas, anchors),
            RCNN_CLASSIFICATION: of_regions.classification(second.logits, of_regions.overlaps(region_deltas, regions), regions),
            RCNN_REGRESSION: of_regions.regression(region_deltas, regions),
        }
        return Passed(branches, variables, first.pyramid, regions)

    def predict(self, variables: PyTree, images: Array) -> tuple[Array, Array, SecondStage]:
        """Proposals `[N, P, 4]`, where there is one, and what the second stage says of them, in evaluation mode."""
        return self.after(variables, self.before(variables, images))

    def before(self, variables: PyTree, images: Array) -> FirstStage:
        """The first stage in evaluation mode."""
        return self.network.apply(variables, self.prepare(images), train=False, method=self.network.propose)

    def after(self, variables: PyTree, first: FirstStage) -> tuple[Array, Array, SecondStage]:
        """What `predict` gives, of the outputs of the first stage."""
        boxes, valid = self.proposals(first)
        return boxes, valid, self.second(variables, first.pyramid, boxes, valid)


def with_axis(stages: Stages, axis_name: str | None) -> Stages:
    """The same for a batch that is divided over the devices of this axis."""
    return dataclasses.replace(stages, network=stages.network.clone(axis_name=axis_name))
