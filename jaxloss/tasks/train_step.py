"""One step of a training as a pure function: batch, loss, gradient, optimiser."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from jaxloss.core.family import LossFamily
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import Task
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import TrainState


def gradient_norm(gradients: PyTree) -> Array:
    """The Euclidean norm of all gradients together, float `[]`."""
    # The function of optax has another name since 0.2.5, and the old one warns.
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradients)))


class TrainStep:
    """The pure functions of a training of one task with one family of losses."""

    def __init__(
        self,
        task: Task,
        family: LossFamily,
        settings: TrainingSettings,
        preparation: Preparation,
        axis_name: str | None = None,
    ):
        """Args:
        task: gives network and batches.
        family: of the loss.
        settings: everything but the learning rate.
        preparation: order of the data and optimiser.
        axis_name: device axis over which batches are divided, None for one device.
        """
        self.task, self.family, self.settings, self.preparation = task, family, settings, preparation
        self.axis_name = axis_name
        divided = axis_name is not None and task.forward_over is not None
        self._forward = task.forward_over(axis_name) if divided else task.forward

    def scale(self, state: TrainState, encoded: PyTree, train: PyTree, streamed: PyTree | None = None) -> TrainState:
        """Sets the factor of the loss that makes the norm of its first gradient one."""
        norm = gradient_norm(self.gradients(state, encoded, train, streamed)[1])
        usable = jnp.isfinite(norm) & (norm > 0)
        return dataclasses.replace(state, loss_scale=jnp.where(usable, 1 / norm, 0), finite=usable)

    def step(
        self, state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree, streamed: PyTree | None = None
    ) -> TrainState:
        """One step; a state that is at its end, or no longer finite, stands still.

        Args:
          state: before it.
          encoded: the candidate.
          learning_rate: float `[]`.
          train: what of the training data lies on the device.
          streamed: the examples of this step, where they do not lie there.
        """
        return self.after(state, *self.gradients(state, encoded, train, streamed), learning_rate, train)

    def after(
        self, state: TrainState, loss: Array, gradients: PyTree, variables: PyTree, learning_rate: Array, train: PyTree
    ) -> TrainState:
        """The state after a step whose loss, gradient and updated statistics are known, see `gradients`."""
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

    def gradients(
        self, state: TrainState, encoded: PyTree, train: PyTree, streamed: PyTree | None = None
    ) -> tuple[Array, PyTree, PyTree]:
        """The loss on the batch of the current step, its gradient, and the network's updated statistics."""
        batch, forward_key = self.batch(state, train, streamed)

        def loss_of(params: PyTree) -> tuple[Array, PyTree]:
            inputs, variables = self.forward(state, params, batch, forward_key)
            return self.loss(functools.partial(self.family.loss, encoded), inputs), variables

        (loss, variables), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.variables["params"])
        if self.axis_name is None:
            return loss, gradients, variables
        statistics = {name: value for name, value in variables.items() if name != "params"}
        loss, gradients = jax.lax.psum((loss, gradients), self.axis_name)
        return loss, gradients, {**variables, **jax.lax.pmean(statistics, self.axis_name)}

    def forward(self, state: TrainState, params: PyTree, batch: PyTree, key: Array) -> tuple[Mapping[str, LossInputs], PyTree]:
        """What the network of the state with these parameters makes of a batch, and its updated statistics."""
        return self._forward({**state.variables, "params": params}, batch, key)

    def loss(self, function: Callable[..., Array], inputs: Mapping[str, LossInputs]) -> Array:
        """The candidate's loss `(inputs, axis_name) -> scalar`, and the losses that the task trains every candidate beside."""
        auxiliary = self.task.auxiliary_losses
        loss = function({name: one for name, one in inputs.items() if name not in auxiliary}, self.axis_name)
        return sum((function(inputs[name], self.axis_name) for name, function in auxiliary.items()), loss)

    def batch(self, state: TrainState, train: PyTree, streamed: PyTree | None = None) -> tuple[PyTree, Array]:
        """The batch of the current step, or this device's share of it, and the key of the forward pass."""
        batch_size, steps_per_epoch = self.preparation.batch_size(train), self.preparation.steps_per_epoch(train)
        if streamed is None:
            place = (state.step // steps_per_epoch, (state.step % steps_per_epoch) * batch_size)
            rows = jax.lax.dynamic_slice(state.orders, place, (1, batch_size))[0]
            batch = jax.tree.map(lambda leaf: leaf[rows], train)
        else:
            batch = streamed
        augment_key, forward_key = jax.random.split(jax.random.fold_in(state.key, state.step))
        if self.task.augment is not None:
            batch = self.task.augment(batch, augment_key)
        if self.axis_name is None:
            return batch, forward_key
        # Divided after the augmentation: its draws are then those of one device.
        share, device = batch_size // jax.lax.axis_size(self.axis_name), jax.lax.axis_index(self.axis_name)
        batch = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, device * share, share), batch)
        return batch, jax.random.fold_in(forward_key, device)
