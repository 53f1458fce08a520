"""Training a task's network with a loss: the loss and the learning rate are arguments of one compiled program.

training = Training(task, family, settings)
outcome = training.run(encoded, learning_rate=0.1, seed=0, data=task.data, evaluate_on='search_eval')
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxloss.core.family import LossFamily
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import TRAIN, Task
from jaxloss.tasks.dispatch import dispatch_steps, resolve_dispatch
from jaxloss.tasks.preparation import Outcome, Preparation, TrainState
from jaxloss.tasks.settings import TrainingSettings


def gradient_norm(gradients: PyTree) -> Array:
    """The Euclidean norm of all gradients together, float `[]`."""
    # The function of optax has another name since 0.2.5, and the old one warns.
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradients)))


class Training:
    """The compiled training of one task with one family of losses. Safe to call from several threads."""

    def __init__(
        self,
        task: Task,
        family: LossFamily,
        settings: TrainingSettings,
        dispatch: str = "auto",
        preparation: Preparation | None = None,
        axis_name: str | None = None,
    ):
        """Args:
        task: gives network, batches and scores; its `data` is not read here.
        family: a space, or a family of hand-crafted losses.
        settings: everything but the learning rate.
        dispatch: `whole` (one call per training, a loop inside), `steps` (one call per step, from Python), or `auto`, see
          `dispatch.resolve_dispatch`.
        preparation: shared by the families of one task; its own by default.
        axis_name: device axis of a data-parallel training, whose batches are divided over the devices; None for one device.
        """
        self.task, self.family, self.settings = task, family, settings
        self.preparation = preparation or Preparation(task, settings)
        self.axis_name = axis_name
        self.dispatch = resolve_dispatch(dispatch, task)
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
        state = self.trained(encoded, learning_rate, seed, data[TRAIN])
        variables, finite, step = self._on_one_device((state.variables, state.finite, state.step))
        scores = self.preparation.scores(variables, data[evaluate_on])
        return self.outcome(scores, finite, step, variables if keep_variables else None)

    def first_steps(self, encoded: PyTree, learning_rate: float, seed: int, train: PyTree, num_steps: int) -> int:
        """Waits for the first steps, and says how many were done; for measurements."""
        return int(self._on_one_device(self.trained(encoded, learning_rate, seed, train, num_steps).step))

    def trained(
        self, encoded: PyTree, learning_rate: float, seed: int, train: PyTree, num_steps: int | None = None
    ) -> TrainState:
        """The state after all steps, or after so many."""
        all_steps = self.preparation.num_steps(train)
        state = self.begin(encoded, jax.random.key(seed), train)
        return self.advance(state, encoded, jnp.float32(learning_rate), train, min(num_steps or all_steps, all_steps))

    def _on_one_device(self, tree: PyTree) -> PyTree:
        return tree

    def begin(self, encoded: PyTree, key: Array, train: PyTree) -> TrainState:
        """The state before the first step."""
        state = self.preparation.begin(key, train)
        return self._scaled(state, encoded, train) if self.settings.loss_scale == "unit_gradient" else state

    def advance(self, state: TrainState, encoded: PyTree, rate: Array, train: PyTree, num_steps: int) -> TrainState:
        """At most `num_steps` further steps: fewer where the training ends or is stopped before. `state` is given away."""
        if self.dispatch == "whole":
            return self._whole(state, encoded, rate, train, jnp.int32(num_steps))
        return dispatch_steps(lambda state: self._step(state, encoded, rate, train), state, num_steps)

    def outcome(self, scores: Mapping[str, Array], finite: Array, step: Array, variables: PyTree) -> Outcome:
        """What a training that ended with these scores gave; a metric of NaN is as good as a stopped training."""
        scores = {name: float(value) for name, value in scores.items()} if finite else {}
        if not math.isfinite(scores.get(self.task.metric, math.nan)):
            return Outcome(None, {}, int(step), variables)
        return Outcome(scores[self.task.metric], scores, int(step), variables)

    # --- the pure functions ----------------------------------------------------------------------------------------------------

    def scale(self, state: TrainState, encoded: PyTree, train: PyTree) -> TrainState:
        """Sets the factor of the loss that makes the norm of its first gradient one."""
        norm = gradient_norm(self._gradients(state, encoded, train)[1])
        usable = jnp.isfinite(norm) & (norm > 0)
        return dataclasses.replace(state, loss_scale=jnp.where(usable, 1 / norm, 0), finite=usable)

    def step(self, state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree) -> TrainState:
        """One step; a state that is at its end, or no longer finite, stands still."""
        loss, gradients, variables = self._gradients(state, encoded, train)
        gradients = jax.tree.map(lambda leaf: leaf * state.loss_scale, gradients)
        running = self.preparation.running(state, train)
        healthy = jnp.isfinite(loss) & jnp.isfinite(gradient_norm(gradients))
        params = state.variables["params"]
        updates, optimiser = self.preparation.optimiser(train).update(gradients, state.optimiser, params)
        params = optax.apply_updates(params, jax.tree.map(lambda leaf: -learning_rate * leaf, updates))
        variables = self._with_frozen_statistics(variables, state, train)
        keep = functools.partial(jax.tree.map, functools.partial(jnp.where, running & healthy))
        return dataclasses.replace(
            state,
            variables=keep({**variables, "params": params}, state.variables),
            optimiser=keep(optimiser, state.optimiser),
            step=state.step + (running & healthy),
            finite=state.finite & (healthy | ~running),
        )

    def _with_frozen_statistics(self, variables: PyTree, state: TrainState, train: PyTree) -> PyTree:
        """Statistics of a backbone that is frozen stand still, as its parameters do (see `TrainingSettings.make_optimiser`)."""
        backbone = self.task.backbone
        if backbone is None or not self.settings.frozen_epochs:
            return variables
        frozen = state.step < round(self.settings.frozen_epochs * self.preparation.steps_per_epoch(train))

        def kept(name: str, group: PyTree) -> PyTree:
            if name == "params":
                return group
            before, chosen = state.variables[name], backbone(group)
            return jax.tree.map(
                lambda new, old, is_chosen: jnp.where(frozen, old, new) if is_chosen else new, group, before, chosen
            )

        return {name: kept(name, group) for name, group in variables.items()}

    def _gradients(self, state: TrainState, encoded: PyTree, train: PyTree) -> tuple[Array, PyTree, PyTree]:
        """The loss on the batch of the current step, its gradient, and the network's updated statistics."""
        batch, forward_key = self._batch(state, train)

        def loss_of(params: PyTree) -> tuple[Array, PyTree]:
            inputs, variables = self.task.forward({**state.variables, "params": params}, batch, forward_key)
            return self._loss(encoded, inputs), variables

        (loss, variables), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.variables["params"])
        if self.axis_name is None:
            return loss, gradients, variables
        statistics = {name: value for name, value in variables.items() if name != "params"}
        loss, gradients = jax.lax.psum((loss, gradients), self.axis_name)
        return loss, gradients, {**variables, **jax.lax.pmean(statistics, self.axis_name)}

    def _loss(self, encoded: PyTree, inputs: Mapping[str, LossInputs]) -> Array:
        """The candidate's loss, and the losses that the task trains every candidate beside."""
        auxiliary = self.task.auxiliary_losses
        loss = self.family.loss(encoded, {name: one for name, one in inputs.items() if name not in auxiliary}, self.axis_name)
        return sum((function(inputs[name], self.axis_name) for name, function in auxiliary.items()), loss)

    def _batch(self, state: TrainState, train: PyTree) -> tuple[PyTree, Array]:
        """The batch of the current step, or this device's share of it, and the key of the forward pass."""
        batch_size, steps_per_epoch = self.preparation.batch_size(train), self.preparation.steps_per_epoch(train)
        place = (state.step // steps_per_epoch, (state.step % steps_per_epoch) * batch_size)
        rows = jax.lax.dynamic_slice(state.orders, place, (1, batch_size))[0]
        batch = jax.tree.map(lambda leaf: leaf[rows], train)
        augment_key, forward_key = jax.random.split(jax.random.fold_in(state.key, state.step))
        if self.task.augment is not None:
            batch = self.task.augment(batch, augment_key)
        if self.axis_name is None:
            return batch, forward_key
        # Divided after the augmentation: its draws are then those of one device.
        share, device = batch_size // jax.lax.axis_size(self.axis_name), jax.lax.axis_index(self.axis_name)
        batch = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, device * share, share), batch)
        return batch, jax.random.fold_in(forward_key, device)

    # --- compiled --------------------------------------------------------------------------------------------------------------

    def _compile(self, function, **options):
        return jax.jit(function, **options)

    @functools.cached_property
    def _scaled(self):
        return self._compile(self.scale)

    @functools.cached_property
    def _whole(self):
        def whole(state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree, num_steps: Array) -> TrainState:
            self.compilations += 1  # counted while tracing: once per compilation
            end = state.step + num_steps
            return jax.lax.while_loop(
                lambda state: self.preparation.running(state, train) & (state.step < end),
                lambda state: self.step(state, encoded, learning_rate, train),
                state,
            )

        return self._compile(whole)

    @functools.cached_property
    def _step(self):
        def step(state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree) -> TrainState:
            self.compilations += 1  # counted while tracing: once per compilation
            return self.step(state, encoded, learning_rate, train)

        return self._compile(step, donate_argnums=0)
