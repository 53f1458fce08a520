"""What every training of a task begins and ends with, whatever its loss: a fresh network, the order of the data, the scores."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import Task, num_examples
from jaxloss.tasks.data.stream import is_streamed
from jaxloss.tasks.evaluation import Evaluation
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.state import StateHandle, TrainState, with_key_data


class Preparation:
    """What does not depend on the loss: a fresh network, the order of the data, the scores. Compiled once for all families."""

    def __init__(self, task: Task, settings: TrainingSettings):
        self.task, self.settings = task, settings
        self.evaluation = Evaluation(task)

    def steps_per_epoch(self, train: PyTree) -> int:
        """Whole batches in an epoch (static)."""
        return self._rows_per_epoch(train) // self.batch_size(train)

    def batch_size(self, train: PyTree) -> int:
        """The batch size, or the size of a smaller epoch (static)."""
        return min(self.settings.batch_size, self._rows_per_epoch(train))

    def _rows_per_epoch(self, train: PyTree) -> int:
        """Examples in an epoch; an order of the task's own may repeat some (static)."""
        if self.task.order is None:
            return num_examples(train)
        try:
            return jax.eval_shape(self.task.order, jax.random.key(0), train).shape[0]
        except KeyError as error:
            if not is_streamed(self.task.data):
                raise
            raise UserError(
                f"the order of the task {self.task.name} reads the array {error}, and its training data are streamed: give the "
                f"array to StreamedRows.create as a resident one, beside {sorted(train)}"
            ) from error

    def rows_of_steps(self, orders: np.ndarray, train: PyTree, first: int, count: int) -> np.ndarray:
        """Numbers of the examples of some steps, on the host: int `[count, B]`, of orders `[E, M]`."""
        batch_size, steps_per_epoch = self.batch_size(train), self.steps_per_epoch(train)
        whole_batches = orders[:, : steps_per_epoch * batch_size]
        return whole_batches.reshape(-1, batch_size)[first : first + count]

    def num_steps(self, train: PyTree) -> int:
        """Steps of a whole training (static)."""
        return max(1, round(self.settings.num_epochs * self.steps_per_epoch(train)))

    def optimiser(self, train: PyTree) -> optax.GradientTransformation:
        """See `TrainingSettings.make_optimiser`."""
        return self.settings.make_optimiser(self.num_steps(train), self.steps_per_epoch(train), self.task.backbone)

    def fresh(self, key: Array, train: PyTree) -> TrainState:
        """The state before the first step (pure): the same for all losses that share the key."""
        init_key, key = jax.random.split(key)
        variables = self.task.init(init_key)
        num_epochs = -(-self.num_steps(train) // self.steps_per_epoch(train))
        epoch_keys = jax.vmap(lambda epoch: jax.random.fold_in(key, epoch))(jnp.arange(num_epochs))
        orders = jax.lax.map(lambda epoch_key: self._order(epoch_key, train), epoch_keys)
        return TrainState(
            variables=variables,
            optimiser=self.optimiser(train).init(variables["params"]),
            orders=orders.astype(jnp.int32),
            loss_scale=jnp.float32(1),
            step=jnp.int32(0),
            finite=jnp.bool_(True),
            key=jax.random.fold_in(key, num_epochs),
        )

    def handle_like(self, train: PyTree, division: int) -> StateHandle:
        """The shapes of a handle to a training on this division of the data; nothing is computed."""
        state = jax.eval_shape(lambda train: with_key_data(self.fresh(jax.random.key(0), train)), train)
        return StateHandle(state, division, self.task.name)

    def _order(self, key: Array, train: PyTree) -> Array:
        """The rows of one epoch."""
        if self.task.order is not None:
            return self.task.order(key, train)
        return jax.random.permutation(key, num_examples(train))

    def running(self, state: TrainState, train: PyTree) -> Array:
        """bool `[]`: whether there are steps to do (pure)."""
        return state.finite & (state.step < self.num_steps(train))

    @functools.cached_property
    def begin(self):
        """`fresh`, compiled."""
        return jax.jit(self.fresh)
