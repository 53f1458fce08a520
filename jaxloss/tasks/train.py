"""Training a task's network with a loss: the loss and the learning rate are arguments of one compiled program.

training = Training(task, family, settings)
outcome = training.run(encoded, learning_rate=0.1, seed=0, data=task.data, evaluate_on='search_eval')
"""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxloss.core.family import LossFamily
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import TRAIN, Task, num_examples
from jaxloss.tasks.settings import TrainingSettings

FINITE_CHECK_INTERVAL = 20


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that changes during a training.

    Attributes:
      variables: parameters and statistics of the network.
      optimiser: state of the optimiser.
      orders: int32 `[E, M]` the order of the examples in every epoch; does not change.
      loss_scale: float `[]` constant factor of the loss.
      step: int32 `[]` steps done.
      finite: bool `[]` False once a loss or a gradient was NaN or infinite; the state then stands still.
      key: of augmentation and dropout.
    """

    variables: PyTree
    optimiser: PyTree
    orders: Array
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


class Preparation:
    """What does not depend on the loss: a fresh network, the order of the data, the scores. Compiled once for all families."""

    def __init__(self, task: Task, settings: TrainingSettings):
        self.task, self.settings = task, settings

    def steps_per_epoch(self, train: PyTree) -> int:
        """Whole batches in the training split (static)."""
        return num_examples(train) // self.batch_size(train)

    def batch_size(self, train: PyTree) -> int:
        """The batch size, or the size of a smaller split (static)."""
        return min(self.settings.batch_size, num_examples(train))

    def num_steps(self, train: PyTree) -> int:
        """Steps of a whole training (static)."""
        return max(1, round(self.settings.num_epochs * self.steps_per_epoch(train)))

    def optimiser(self, train: PyTree) -> optax.GradientTransformation:
        """See `TrainingSettings.make_optimiser`."""
        return self.settings.make_optimiser(self.num_steps(train), self.steps_per_epoch(train))

    @functools.cached_property
    def begin(self):
        """`(key, train) -> TrainState`: the same for all losses that share the key."""

        def begin(key: Array, train: PyTree) -> TrainState:
            init_key, key = jax.random.split(key)
            variables = self.task.init(init_key)
            num_epochs = -(-self.num_steps(train) // self.steps_per_epoch(train))
            epoch_keys = jax.vmap(lambda epoch: jax.random.fold_in(key, epoch))(jnp.arange(num_epochs))
            orders = jax.lax.map(lambda epoch_key: jax.random.permutation(epoch_key, num_examples(train)), epoch_keys)
            return TrainState(
                variables=variables,
                optimiser=self.optimiser(train).init(variables["params"]),
                orders=orders.astype(jnp.int32),
                loss_scale=jnp.float32(1),
                step=jnp.int32(0),
                finite=jnp.bool_(True),
                key=jax.random.fold_in(key, num_epochs),
            )

        return jax.jit(begin)

    @functools.cached_property
    def scores(self):
        """`(variables, examples) -> {name: scalar}`."""
        return jax.jit(self.task.scores)


class Training:
    """The compiled training of one task with one family of losses. Safe to call from several threads."""

    def __init__(
        self,
        task: Task,
        family: LossFamily,
        settings: TrainingSettings,
        dispatch: str = "auto",
        preparation: Preparation | None = None,
    ):
        """Args:
        task: gives network, batches and scores; its `data` is not read here.
        family: a space, or a family of hand-crafted losses.
        settings: everything but the learning rate.
        dispatch: `whole` (one call per training, a loop inside), `steps` (one call per step, from Python), or `auto`:
          `steps` for networks with convolutions on a CPU, where a convolution inside a loop is slow.
        preparation: shared by the families of one task; its own by default.
        """
        self.task, self.family, self.settings = task, family, settings
        self.preparation = preparation or Preparation(task, settings)
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
        rate, train = jnp.float32(learning_rate), data[TRAIN]
        state = self.preparation.begin(jax.random.key(seed), train)
        if self.settings.loss_scale == "unit_gradient":
            state = self._scaled(state, encoded, train)
        if self.dispatch == "whole":
            state = self._whole(state, encoded, rate, train)
        else:
            for step in range(self.preparation.num_steps(train)):
                state = self._step(state, encoded, rate, train)
                if step % FINITE_CHECK_INTERVAL == 0 and not state.finite:
                    break
        scores = {name: float(value) for name, value in self.preparation.scores(state.variables, data[evaluate_on]).items()}
        finite = bool(state.finite)
        return Outcome(
            score=scores[self.task.metric] if finite else None,
            scores=scores if finite else {},
            steps=int(state.step),
            variables=state.variables if keep_variables else None,
        )

    # --- the pure functions ----------------------------------------------------------------------------------------------------

    def scale(self, state: TrainState, encoded: PyTree, train: PyTree) -> TrainState:
        """Sets the factor of the loss that makes the norm of its first gradient one."""
        norm = optax.global_norm(self._gradients(state, encoded, train)[1])
        usable = jnp.isfinite(norm) & (norm > 0)
        return dataclasses.replace(state, loss_scale=jnp.where(usable, 1 / norm, 0), finite=usable)

    def step(self, state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree) -> TrainState:
        """One step; a state that is no longer finite stands still."""
        loss, gradients, variables = self._gradients(state, encoded, train)
        gradients = jax.tree.map(lambda leaf: leaf * state.loss_scale, gradients)
        finite = state.finite & jnp.isfinite(loss) & jnp.isfinite(optax.global_norm(gradients))
        params = state.variables["params"]
        updates, optimiser = self.preparation.optimiser(train).update(gradients, state.optimiser, params)
        params = optax.apply_updates(params, jax.tree.map(lambda leaf: -learning_rate * leaf, updates))
        keep = functools.partial(jax.tree.map, functools.partial(jnp.where, finite))
        return dataclasses.replace(
            state,
            variables=keep({**variables, "params": params}, state.variables),
            optimiser=keep(optimiser, state.optimiser),
            step=state.step + finite,
            finite=finite,
        )

    def _gradients(self, state: TrainState, encoded: PyTree, train: PyTree) -> tuple[Array, PyTree, PyTree]:
        """The loss on the batch of the current step, its gradient, and the network's updated statistics."""
        batch_size, steps_per_epoch = self.preparation.batch_size(train), self.preparation.steps_per_epoch(train)
        place = (state.step // steps_per_epoch, (state.step % steps_per_epoch) * batch_size)
        rows = jax.lax.dynamic_slice(state.orders, place, (1, batch_size))[0]
        batch = jax.tree.map(lambda leaf: leaf[rows], train)
        augment_key, forward_key = jax.random.split(jax.random.fold_in(state.key, state.step))
        if self.task.augment is not None:
            batch = self.task.augment(batch, augment_key)

        def loss_of(params: PyTree) -> tuple[Array, PyTree]:
            inputs, variables = self.task.forward({**state.variables, "params": params}, batch, forward_key)
            return self.family.loss(encoded, inputs), variables

        (loss, variables), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.variables["params"])
        return loss, gradients, variables

    # --- compiled --------------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _scaled(self):
        return jax.jit(self.scale)

    @functools.cached_property
    def _whole(self):
        def whole(state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree) -> TrainState:
            self.compilations += 1  # counted while tracing: once per compilation
            num_steps = self.preparation.num_steps(train)
            return jax.lax.while_loop(
                lambda state: state.finite & (state.step < num_steps),
                lambda state: self.step(state, encoded, learning_rate, train),
                state,
            )

        return jax.jit(whole)

    @functools.cached_property
    def _step(self):
        def step(state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree) -> TrainState:
            self.compilations += 1  # counted while tracing: once per compilation
            return self.step(state, encoded, learning_rate, train)

        return jax.jit(step, donate_argnums=0)
