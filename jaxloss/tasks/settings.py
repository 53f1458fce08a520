"""How a network is trained, and the optimiser that follows from it."""

import dataclasses

import optax

from jaxloss.core.errors import unknown

OPTIMISERS = ("sgd", "adam")
SCHEDULES = ("constant", "cosine", "polynomial")
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
      schedule: `constant`, `cosine` (to 0) or `polynomial` (power 0.9, as AutoLoss-Zero trains its segmentation networks).
      warmup_epochs: linear warm-up from 0.
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
    clip_norm: float = 0.0
    loss_scale: str = "as_is"

    def __post_init__(self):
        for kind, choices in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("loss_scale", LOSS_SCALES)):
            if getattr(self, kind) not in choices:
                raise unknown(f"training.{kind}", getattr(self, kind), choices)

    def make_optimiser(self, num_steps: int, steps_per_epoch: int) -> optax.GradientTransformation:
        """Everything but the learning rate: its updates are to be multiplied by minus the rate."""
        parts = [optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else []
        parts += [optax.add_decayed_weights(self.weight_decay)] if self.weight_decay else []
        parts += [optax.trace(self.momentum) if self.optimiser == "sgd" else optax.scale_by_adam()]
        return optax.chain(*parts, optax.scale_by_schedule(self._factor(num_steps, steps_per_epoch)))

    def _factor(self, num_steps: int, steps_per_epoch: int) -> optax.Schedule:
        """The schedule as a factor of the learning rate."""
        warmup = round(self.warmup_epochs * steps_per_epoch)
        decay_steps = max(1, num_steps - warmup)
        decay = {
            "constant": optax.constant_schedule(1.0),
            "cosine": optax.cosine_decay_schedule(1.0, decay_steps),
            "polynomial": optax.polynomial_schedule(1.0, 0.0, 0.9, decay_steps),
        }[self.schedule]
        return optax.join_schedules([optax.linear_schedule(0.0, 1.0, max(1, warmup)), decay], [warmup])
