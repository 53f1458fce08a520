"""How a network is trained, and the optimiser that follows from it."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import optax

from jaxloss.core.conditions import Where, in_mode, unless, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, setting
from jaxloss.core.types import Array, PyTree

OPTIMISERS = ("sgd", "adam")
SCHEDULES = ("constant", "cosine", "polynomial", "steps")
LOSS_SCALES = ("as_is", "unit_gradient")


STEPS = (when("training.schedule", "steps"),)
POLYNOMIAL = (when("training.schedule", "polynomial"),)
FALLING = (when("training.schedule", "cosine", "polynomial"),)


@dataclasses.dataclass(frozen=True)
class TrainingSettings(Settings, section="training"):
    """How a network is trained.

    Raises:
      UserError: for epochs that do not fit together.
    """

    optimiser: str = setting("sgd", "With momentum where it is SGD", choices=OPTIMISERS)
    momentum: float = setting(0.9, "Of SGD", low=0.0, high=1.0, acts_when=(when("training.optimiser", "sgd"),))
    weight_decay: float = setting(0.0, "Added to the gradient, before momentum", low=0.0, high=1e3)
    batch_size: int = setting(64, "Examples per step", low=1, high=10**9)
    num_epochs: float = setting(
        20.0, "Passes over the training split; an incomplete last batch of an epoch is left out", low=1e-6, high=10_000.0
    )
    schedule: str = setting(
        "cosine",
        "Of the learning rate: to end_factor along a cosine or with polynomial_power, or by step_factor at step_epochs",
        choices=SCHEDULES,
    )
    # As Li et al., CVPR 2022, Appendix A.1, train their segmentation networks; those end at a rate of 0.0001 from one of 0.02.
    polynomial_power: float = setting(
        0.9, "Of what is left of the training: 1 is a straight line", low=1e-3, high=100.0, acts_when=POLYNOMIAL
    )
    end_factor: float = setting(
        0.0, "What the learning rate is multiplied with where the schedule ends", low=0.0, high=1.0, acts_when=FALLING
    )
    warmup_epochs: float = setting(0.0, "Linear warm-up", low=0.0, high=10_000.0)
    warmup_start: float = setting(
        0.0,
        "Factor of the learning rate at the beginning of the warm-up",
        low=0.0,
        high=1.0,
        acts_when=(unless("training.warmup_epochs", 0.0),),
    )
    # With another schedule they are refused below.
    step_epochs: tuple[float, ...] = setting(
        (), "Where schedule=steps lowers the rate, from the beginning of the training, warm-up included; rising"
    )
    step_factor: float = setting(
        0.1, "What the learning rate is multiplied with at each of step_epochs", low=0.0, high=1.0, acts_when=STEPS
    )
    frozen_epochs: float = setting(0.0, "So long the backbone of a network that has one stands still", low=0.0, high=10_000.0)
    # New layers have further to go than those that came trained.
    head_factor: float = setting(
        1.0, "What the learning rate is multiplied with outside the backbone of a network that has one", low=1e-6, high=1e6
    )
    clip_norm: float = setting(0.0, "Bound on the global gradient norm; 0: none", low=0.0, high=1e6)
    loss_scale: str = setting(
        "as_is", "unit_gradient: every loss is multiplied by what makes the norm of its first gradient one", choices=LOSS_SCALES
    )
    # A trial brings its own, so that tuning compiles nothing.
    learning_rate: float = setting(
        0.1,
        "Of the trainings of a search, and where the tuning of a comparison begins",
        low=1e-12,
        high=1e6,
        acts_when=(Where(in_mode("search"), when("search.calibration_trainings", 0), is_preset=True),),
    )

    def __post_init__(self):
        super().__post_init__()
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

    def longer(self, factor: float) -> Self:
        """The same training, stretched: all that happens at an epoch happens so many times later."""
        return dataclasses.replace(
            self,
            num_epochs=factor * self.num_epochs,
            warmup_epochs=factor * self.warmup_epochs,
            frozen_epochs=factor * self.frozen_epochs,
            step_epochs=tuple(factor * epoch for epoch in self.step_epochs),
        )

    def make_optimiser(
        self, num_steps: int, steps_per_epoch: int, backbone: Callable[[PyTree], PyTree] | None = None
    ) -> optax.GradientTransformation:
        """Everything but the learning rate: its updates are to be multiplied by minus the rate.

        Args:
          num_steps: of the training.
          steps_per_epoch: of them.
          backbone: `(parameters) -> pytree of bool`, which of them stand still for `frozen_epochs`, and are left alone by
            `head_factor`; None for none.
        """
        parts = [optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else []
        parts += [optax.add_decayed_weights(self.weight_decay)] if self.weight_decay else []
        if self.frozen_epochs and backbone is not None:
            # Before the momentum, which would move what was frozen later on.
            parts += [_freeze(backbone, round(self.frozen_epochs * steps_per_epoch))]
        parts += [optax.trace(self.momentum) if self.optimiser == "sgd" else optax.scale_by_adam()]
        if self.head_factor != 1 and backbone is not None:
            # Behind momentum and Adam, as the learning rate is, which it stands for.
            parts += [_scale_others(backbone, self.head_factor)]
        return optax.chain(*parts, optax.scale_by_schedule(self.rate_factor(num_steps, steps_per_epoch)))

    def rate_factor(self, num_steps: int, steps_per_epoch: int) -> optax.Schedule:
        """The schedule, as a factor of the learning rate for each step."""
        warmup = round(self.warmup_epochs * steps_per_epoch)
        decay_steps = max(1, num_steps - warmup)
        steps = {round(epoch * steps_per_epoch) - warmup: self.step_factor for epoch in self.step_epochs}
        decay = {
            "constant": optax.constant_schedule(1.0),
            "cosine": optax.cosine_decay_schedule(1.0, decay_steps, self.end_factor),
            "polynomial": optax.polynomial_schedule(1.0, self.end_factor, self.polynomial_power, decay_steps),
            "steps": optax.piecewise_constant_schedule(1.0, steps),
        }[self.schedule]
        rise = optax.linear_schedule(self.warmup_start, 1.0, max(1, warmup))
        return optax.join_schedules([rise, decay], [warmup])


def _scale_others(chosen: Callable[[PyTree], PyTree], factor: float) -> optax.GradientTransformation:
    """Multiplies the updates of all parameters but the chosen ones."""

    def scaled(updates: PyTree, params: PyTree = None) -> PyTree:
        del params
        return jax.tree.map(lambda leaf, is_chosen: leaf if is_chosen else factor * leaf, updates, chosen(updates))

    return optax.stateless(scaled)


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
