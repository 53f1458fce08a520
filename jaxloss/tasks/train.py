"""Training a task's network with a loss: one compiled program, the loss and the learning rate are arguments.

training = Training(task, family, settings)
outcome = training.run(encoded, learning_rate=0.1, seed=0, data=task.data, evaluate_on='search_eval')
"""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxloss.core.errors import unknown
from jaxloss.core.family import LossFamily
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import TRAIN, Task

OPTIMISERS = ("sgd", "adam")
SCHEDULES = ("constant", "cosine", "polynomial")
LOSS_SCALES = ("as_is", "unit_gradient")
FINITE_CHECK_INTERVAL = 20


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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that changes during a training.

    Attributes:
      variables: parameters and statistics of the network.
      optimiser: state of the optimiser.
      order: int32 `[M]` the order of the examples in the current epoch.
      loss_scale: float `[]` constant factor of the loss.
      step: int32 `[]` steps done.
      finite: bool `[]` False once a loss or a gradient was NaN or infinite; the state then stands still.
      key: of data order, augmentation and dropout.
    """

    variables: PyTree
    optimiser: PyTree
    order: Array
    loss_scale: Array
    step: Array
    finite: Array
    key: Array


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a training gave.

    Attributes:
      score: the task's metric, or None where the training was stopped by NaN or infinity.
      scores: all scores of the task.
      steps: steps done.
      variables: the trained network, where it was asked for.
    """

    score: float | None
    scores: Mapping[str, float]
    steps: int
    variables: PyTree = None

    @property
    def finite(self) -> bool:
        return self.score is not None


class Training:
    """The compiled training of one task with one family of losses. Safe to call from several threads."""

    def __init__(self, task: Task, family: LossFamily, settings: TrainingSettings, dispatch: str = "auto"):
        """Args:
        task: gives network, batches and scores; its `data` is not read here.
        family: a space, or a family of hand-crafted losses.
        settings: everything but the learning rate.
        dispatch: `whole` (one call per training, a loop inside), `steps` (one call per step, from Python), or `auto`:
          `steps` for networks with convolutions on a CPU, where a convolution inside a loop is slow.
        """
        self.task, self.family, self.settings = task, family, settings
        slow_loop = task.native_convolution and jax.default_backend() == "cpu"
        self.dispatch = ("steps" if slow_loop else "whole") if dispatch == "auto" else dispatch
        self.compilations = 0

    def run(
        self,
        encoded: PyTree,
        learning_rate: float,
        seed: int,
        data: Mapping[str, PyTree],
        evaluate_on: str,
        keep_variables: bool = False,
    ) -> Outcome:
        """Trains one network from scratch and scores it on the split `evaluate_on`."""
        key, rate = jax.random.key(seed), jnp.float32(learning_rate)
        train, evaluation = data[TRAIN], data[evaluate_on]
        if self.dispatch == "whole":
            state, scores = self._whole(encoded, rate, key, train, evaluation)
        else:
            state = self._initial(encoded, key, train)
            for step in range(self.num_steps(train)):
                state = self._step(state, encoded, rate, train)
                if step % FINITE_CHECK_INTERVAL == 0 and not state.finite:
                    break
            scores = self._scores(state, evaluation)
        scores = {name: float(value) for name, value in scores.items()}
        finite = bool(state.finite)
        return Outcome(
            score=scores[self.task.metric] if finite else None,
            scores=scores if finite else {},
            steps=int(state.step),
            variables=state.variables if keep_variables else None,
        )

    # --- the pure functions ----------------------------------------------------------------------------------------------------

    def num_steps(self, train: PyTree) -> int:
        """Steps of a whole training on this split (static)."""
        return max(1, round(self.settings.num_epochs * self._steps_per_epoch(train)))

    def _steps_per_epoch(self, train: PyTree) -> int:
        size = jax.tree.leaves(train)[0].shape[0]
        return max(1, size // self._batch_size(train))

    def _batch_size(self, train: PyTree) -> int:
        return min(self.settings.batch_size, jax.tree.leaves(train)[0].shape[0])

    def _optimiser(self, train: PyTree) -> optax.GradientTransformation:
        settings = self.settings
        parts = [optax.clip_by_global_norm(settings.clip_norm)] if settings.clip_norm else []
        parts += [optax.add_decayed_weights(settings.weight_decay)] if settings.weight_decay else []
        parts += [optax.trace(settings.momentum) if settings.optimiser == "sgd" else optax.scale_by_adam()]
        return optax.chain(*parts, optax.scale_by_schedule(self._schedule(train)))

    def _schedule(self, train: PyTree) -> optax.Schedule:
        num_steps = self.num_steps(train)
        warmup = round(self.settings.warmup_epochs * self._steps_per_epoch(train))
        decay = {
            "constant": lambda steps: optax.constant_schedule(1.0),
            "cosine": lambda steps: optax.cosine_decay_schedule(1.0, steps),
            "polynomial": lambda steps: optax.polynomial_schedule(1.0, 0.0, 0.9, steps),
        }[self.settings.schedule](max(1, num_steps - warmup))
        return optax.join_schedules([optax.linear_schedule(0.0, 1.0, max(1, warmup)), decay], [warmup])

    def initial(self, encoded: PyTree, key: Array, train: PyTree) -> TrainState:
        """A fresh network; the same for all losses that share the key."""
        init_key, key = jax.random.split(key)
        variables = self.task.init(init_key)
        state = TrainState(
            variables=variables,
            optimiser=self._optimiser(train).init(variables["params"]),
            order=jnp.arange(jax.tree.leaves(train)[0].shape[0], dtype=jnp.int32),
            loss_scale=jnp.float32(1),
            step=jnp.int32(0),
            finite=jnp.bool_(True),
            key=key,
        )
        if self.settings.loss_scale == "as_is":
            return state
        norm = optax.global_norm(self._gradients(self._with_epoch_order(state), encoded, train)[1])
        usable = jnp.isfinite(norm) & (norm > 0)
        return dataclasses.replace(state, loss_scale=jnp.where(usable, 1 / norm, 0), finite=usable)

    def step(self, state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree) -> TrainState:
        """One step; a state that is no longer finite stands still."""
        state = self._with_epoch_order(state)
        loss, gradients, variables = self._gradients(state, encoded, train)
        gradients = jax.tree.map(lambda leaf: leaf * state.loss_scale, gradients)
        finite = state.finite & jnp.isfinite(loss) & jnp.isfinite(optax.global_norm(gradients))
        params = state.variables["params"]
        updates, optimiser = self._optimiser(train).update(gradients, state.optimiser, params)
        params = optax.apply_updates(params, jax.tree.map(lambda leaf: -learning_rate * leaf, updates))
        moved = dataclasses.replace(state, variables={**variables, "params": params}, optimiser=optimiser, step=state.step + 1)
        moved = jax.tree.map(functools.partial(jnp.where, finite), moved, state)
        return dataclasses.replace(moved, finite=finite)

    def _with_epoch_order(self, state: TrainState) -> TrainState:
        steps_per_epoch = self._steps_per_epoch_of(state)
        epoch_key = jax.random.fold_in(state.key, state.step // steps_per_epoch)
        order = jax.lax.cond(
            state.step % steps_per_epoch == 0,
            lambda: jax.random.permutation(epoch_key, state.order.shape[0]),
            lambda: state.order,
        )
        return dataclasses.replace(state, order=order.astype(jnp.int32))

    def _steps_per_epoch_of(self, state: TrainState) -> int:
        return max(1, state.order.shape[0] // min(self.settings.batch_size, state.order.shape[0]))

    def _gradients(self, state: TrainState, encoded: PyTree, train: PyTree) -> tuple[Array, PyTree, PyTree]:
        """The loss on the batch of the current step, its gradient, and the network's updated statistics."""
        batch_size = self._batch_size(train)
        place = (state.step % self._steps_per_epoch(train)) * batch_size
        rows = jax.lax.dynamic_slice(state.order, (place,), (batch_size,))
        batch = jax.tree.map(lambda leaf: leaf[rows], train)
        augment_key, forward_key = jax.random.split(jax.random.fold_in(state.key, state.step + (1 << 20)))
        if self.task.augment is not None:
            batch = self.task.augment(batch, augment_key)

        def loss_of(params: PyTree) -> tuple[Array, PyTree]:
            inputs, variables = self.task.forward({**state.variables, "params": params}, batch, forward_key)
            return self.family.loss(encoded, inputs), variables

        (loss, variables), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.variables["params"])
        return loss, gradients, variables

    # --- compiled --------------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _whole(self):
        def whole(encoded, learning_rate, key, train, evaluation):
            self.compilations += 1  # counted while tracing: once per compilation
            num_steps = self.num_steps(train)
            state = jax.lax.while_loop(
                lambda state: state.finite & (state.step < num_steps),
                lambda state: self.step(state, encoded, learning_rate, train),
                self.initial(encoded, key, train),
            )
            return state, self.task.scores(state.variables, evaluation)

        return jax.jit(whole)

    @functools.cached_property
    def _initial(self):
        return jax.jit(self.initial)

    @functools.cached_property
    def _step(self):
        def step(state, encoded, learning_rate, train):
            self.compilations += 1  # counted while tracing: once per compilation
            return self.step(state, encoded, learning_rate, train)

        return jax.jit(step, donate_argnums=0)

    @functools.cached_property
    def _scores(self):
        return jax.jit(lambda state, evaluation: self.task.scores(state.variables, evaluation))
