"""How a network is trained, and the optimiser that follows from it."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.types import Array, PyTree

OPTIMISERS = ("sgd", "adam")
SCHEDULES = ("constant", "cosine", "polynomial", "steps")
LOSS_SCALES = ("as_is", "unit_gradient")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained. The learning rate is not here: it is an argument, so that tuning it never recompiles.

    Attributes:
      optimiser: `sgd` (with momentum) or `adam`.
      momentum: of SGD.
      weight_decay: added to the gradient, before momentum.
      batch_size: examples per step.
      num_epochs: passes over the training split; an incomplete last batch of an epoch is left out.
      schedule: `constant`, `cosine` (to 0), `polynomial` (power 0.9, as AutoLoss-Zero trains its segmentation networks) or
        `steps` (times `step_factor` at each of `step_epochs`).
      warmup_epochs: linear warm-up.
      warmup_start: factor of the learning rate that it begins with.
      step_epochs: counted from the beginning of the training, warm-up included; rising.
      step_factor: of the schedule `steps`.
      frozen_epochs: so long the task's backbone stands still, if it has one.
      clip_norm: bound on the global gradient norm, 0 for none.
      loss_scale: `as_is`, or `unit_gradient`: the loss is multiplied by the constant that makes the norm of its first
        gradient one. The scale of a loss and the learning rate are one knob; this takes it away from the loss.
    """

    optimiser: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 128
    num_epochs: float = 10.0
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0
    step_epochs: tuple[float, ...] = ()
    step_factor: float = 0.1
    frozen_epochs: float = 0.0
    clip_norm: float = 0.0
    loss_scale: str = "as_is"

    def __post_init__(self):
        for kind, choices in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("loss_scale", LOSS_SCALES)):
            if getattr(self, kind) not in choices:
                raise unknown(f"training.{kind}", getattr(self, kind), choices)
        if not all(type(epoch) in (int, float) for epoch in self.step_epochs):
            raise UserError(f"training.step_epochs takes numbers of epochs, not {self.step_epochs}")
        epochs = (self.warmup_epochs, *self.step_epochs)
        if any(later <= earlier for earlier, later in itertools.pairwise(epochs)):
            raise UserError(
                f"training.step_epochs must rise, from above the warm-up of {self.warmup_epochs:g} epochs, not {self.step_epochs}"
            )
        if self.schedule == "steps" and not self.step_epochs:
            raise UserError("training.schedule=steps needs the epochs of its steps: training.step_epochs, such as (60.0, 100.0)")
        if self.schedule != "steps" and self.step_epochs:
            raise UserError(f"training.step_epochs need training.schedule=steps, not {self.schedule}")
        last = max(self.step_epochs, default=0)
        for key, end in (("warmup_epochs", self.warmup_epochs), ("step_epochs", last), ("frozen_epochs", self.frozen_epochs)):
            if end and end >= self.num_epochs:
                raise UserError(
                    f"training.{key} ({end:g}) must end before the training does: training.num_epochs is {self.num_epochs:g}"
                )

    def make_optimiser(
        self, num_steps: int, steps_per_epoch: int, backbone: Callable[[PyTree], PyTree] | None = None
    ) -> optax.GradientTransformation:
        """Everything but the learning rate: its updates are to be multiplied by minus the rate.

        Args:
          num_steps: of the training.
          steps_per_epoch: of them.
          backbone: `(parameters) -> pytree of bool`, which of them stand still for `frozen_epochs`; None for none.
        """
        parts = [optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else []
        parts += [optax.add_decayed_weights(self.weight_decay)] if self.weight_decay else []
        if self.frozen_epochs and backbone is not None:
            # Before the momentum, which would move what was frozen later on.
            parts += [_freeze(backbone, round(self.frozen_epochs * steps_per_epoch))]
        parts += [optax.trace(self.momentum) if self.optimiser == "sgd" else optax.scale_by_adam()]
        return optax.chain(*parts, optax.scale_by_schedule(self._factor(num_steps, steps_per_epoch)))

    def _factor(self, num_steps: int, steps_per_epoch: int) -> optax.Schedule:
        """The schedule as a factor of the learning rate."""
        warmup = round(self.warmup_epochs * steps_per_epoch)
        decay_steps = max(1, num_steps - warmup)
        steps = {round(epoch * steps_per_epoch) - warmup: self.step_factor for epoch in self.step_epochs}
        decay = {
            "constant": optax.constant_schedule(1.0),
            "cosine": optax.cosine_decay_schedule(1.0, decay_steps),
            "polynomial": optax.polynomial_schedule(1.0, 0.0, 0.9, decay_steps),
            "steps": optax.piecewise_constant_schedule(1.0, steps),
        }[self.schedule]
        rise = optax.linear_schedule(self.warmup_start, 1.0, max(1, warmup))
        return optax.join_schedules([rise, decay], [warmup])


class _FreezeState(NamedTuple):
    count: Array


def _freeze(chosen: Callable[[PyTree], PyTree], num_steps: int) -> optax.GradientTransformation:
    """Takes the gradients of chosen parameters away for some steps."""

    def init(params: PyTree) -> _FreezeState:
        del params
        return _FreezeState(jnp.zeros([], jnp.int32))

    def update(updates: PyTree, state: _FreezeState, params: PyTree = None) -> tuple[PyTree, _FreezeState]:
        del params
        frozen = state.count < num_steps
        updates = jax.tree.map(
            lambda leaf, is_chosen: jnp.where(frozen, 0, leaf) if is_chosen else leaf, updates, chosen(updates)
        )
        return updates, _FreezeState(state.count + 1)

    return optax.GradientTransformation(init, update)
