"""What every training of a task begins and ends with, whatever its loss: a fresh network, the order of the data, the scores."""

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import Task, num_examples
from jaxloss.tasks.settings import TrainingSettings


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
      score: the task's metric, or None where the training was stopped by NaN or infinity, or the metric itself is that.
      scores: all scores of the task; none where the metric is None.
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
        """Whole batches in an epoch (static)."""
        return self._rows_per_epoch(train) // self.batch_size(train)

    def batch_size(self, train: PyTree) -> int:
        """The batch size, or the size of a smaller epoch (static)."""
        return min(self.settings.batch_size, self._rows_per_epoch(train))

    def _rows_per_epoch(self, train: PyTree) -> int:
        """Examples in an epoch; an order of the task's own may repeat some (static)."""
        if self.task.order is None:
            return num_examples(train)
        return jax.eval_shape(self.task.order, jax.random.key(0), train).shape[0]

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

    @functools.cached_property
    def scores(self):
        """`(variables, examples) -> {name: scalar}`."""
        return jax.jit(self.task.scores)
