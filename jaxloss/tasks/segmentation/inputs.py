"""What a segmentation task offers to losses: predictions and targets of every pixel, void left out."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core import meanings
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import LABEL, LABEL_MASK, Array, LossInputs, PyTree
from jaxloss.tasks.data.masks.pairs import IMAGE, MASK
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.training_targets import LABELS, training_target
from jaxloss.tasks.models.segmentation.network import SegmentationLogits
from jaxloss.tasks.segmentation.splits import PRIOR

BRANCH = "segmentation"
OFFERS = ("prediction", "target", "logits", PRIOR)
RANGES = {"prediction": (0.0, 1.0), "target": (0.0, 1.0), PRIOR: (0.0, 1.0)}
AUXILIARY = "auxiliary"

Forward = Callable[[PyTree, Mapping[str, Array], Array], tuple[dict[str, LossInputs], PyTree]]


@dataclasses.dataclass(frozen=True)
class PixelInputs:
    """Makes the inputs of losses from logits and masks.

    Attributes:
      num_classes: `C`.
      kind: of the training target, in `training_targets.TRAINING_TARGETS`.
      rule: what a boundary is.
    """

    num_classes: int
    kind: str
    rule: BoundaryRule

    @property
    def meanings(self) -> dict[str, str]:
        """See `Task.meanings`; a target that is not the labels is none that other code could make of them unasked."""
        target = meanings.ONE_HOT if self.kind == LABELS else f"{self.kind} of the one-hot labels"
        prior = "how often each class occurs among the training pixels, shares that sum to one, the same everywhere"
        return {"prediction": meanings.SOFTMAX, "target": target, "logits": meanings.LOGITS, PRIOR: prior}

    def targets(self, masks: Array) -> dict[str, Array]:
        """Target `[N, H, W, C]` and the mask of the loss `[N, H, W, 1]`, made of the classes `[N, H, W]`.

        Where the target is another one than the labels, these are there too, as `core.types.LABEL` says.
        """
        target, mask = training_target(masks, self.num_classes, self.kind, self.rule)
        made = {"target": target, "mask": mask}
        if self.kind != LABELS:
            label, valid = training_target(masks, self.num_classes, LABELS, self.rule)
            made |= {LABEL: label, LABEL_MASK: valid.astype(label.dtype)}
        return made

    def __call__(self, logits: Array, batch: Mapping[str, Array]) -> LossInputs:
        """The inputs of the branch that is searched.

        Args:
          logits: `[N, H, W, C]`.
          batch: `mask` `[N, H, W]` and, in training, `prior` `[N, C]`, how often each class occurs there.
        """
        arrays = {"prediction": jax.nn.softmax(logits), "logits": logits, **self.targets(batch[MASK])}
        mask = arrays.pop("mask")
        # Batches of the other splits, which nothing is trained on, know nothing of the training labels.
        if PRIOR in batch:
            arrays[PRIOR] = everywhere(batch[PRIOR], logits)
        return LossInputs.create({name: array.astype(logits.dtype) for name, array in arrays.items()}, mask)


def everywhere(values: Array, like: Array) -> Array:
    """Values `[N, C]` of each sample at all of its positions, `[N, H, W, C]`."""
    return jnp.broadcast_to(values[:, None, None, :].astype(like.dtype), like.shape)


def make_forward(train: Callable[..., tuple[SegmentationLogits, PyTree]], inputs: PixelInputs, auxiliary: bool) -> Forward:
    """`(variables, batch, key) -> ({branch: LossInputs}, variables)` in training mode.

    Args:
      train: `(variables, images [N, H, W, 3], key) -> (logits, variables)`.
      inputs: of losses.
      auxiliary: whether the branch `AUXILIARY` is offered too: the logits of the auxiliary head and one-hot labels.
    """

    def forward(variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        logits, updated = train(variables, batch[IMAGE], key)
        branches = {BRANCH: inputs(logits.main, batch)}
        if auxiliary:
            label, valid = training_target(batch[MASK], inputs.num_classes, LABELS, inputs.rule)
            branches[AUXILIARY] = LossInputs.create({"logits": logits.auxiliary, "target": label}, valid)
        return branches, updated

    return forward


def auxiliary_losses(weight: float) -> dict[str, Callable[[LossInputs, str | None], Array]]:
    """The loss of the branch `AUXILIARY`: cross-entropy with the labels, whatever the candidate."""

    def loss(inputs: LossInputs, axis_name: str | None) -> Array:
        log_p = jax.nn.log_softmax(jnp.where(inputs.mask, inputs.arrays["logits"], 0))
        return weight * mean_loss(-inputs.arrays["target"] * log_p, inputs, axis_name)

    return {AUXILIARY: loss}
