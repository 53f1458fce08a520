"""The state of a training, a handle to it from which trials may start, and what a trial gave."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree


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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class StateHandle:
    """The end of one trial, from which any number of others may start: of its candidate, or of another.

    It holds all that the rest of the training depends on (network, optimiser, data order, random key, schedule) in a form that
    knows no devices, so that any execution can take it up, and is a pytree, so that `runs.checkpoints` can store it: load it
    with `like=execution.handle_like(division)`. Under `training.loss_scale=unit_gradient` it carries the factor of the loss too,
    which is that of the candidate whose training began.

    Attributes:
      state: of one training, in NumPy arrays; its key is the data of the key, `uint32 [...]`.
      division: the division of the data that it was trained on.
      task: name of the task.
    """

    state: TrainState
    division: int
    task: str = dataclasses.field(metadata={"static": True})

    @classmethod
    def of(cls, state: TrainState, division: int, task: str) -> "StateHandle":
        """A handle to a state of one training, see `with_key_data`; waits for it."""
        return cls(jax.tree.map(np.asarray, jax.device_get(state)), division, task)

    @property
    def steps(self) -> int:
        """Steps that the training has done."""
        return int(self.state.step)

    @property
    def variables(self) -> PyTree:
        """The network."""
        return self.state.variables

    def on_device(self) -> TrainState:
        """A copy on the default device, which may be given away."""
        state = jax.tree.map(jnp.array, self.state)
        return dataclasses.replace(state, key=jax.random.wrap_key_data(state.key))

    def check(self, like: "StateHandle") -> None:
        """Looks whether a trial may start from it.

        Args:
          like: a handle of the task and division of the trial; its leaves may be shapes.

        Raises:
          UserError: it is of another task or division, or its arrays have other shapes.
        """
        if self.task != like.task:
            raise UserError(f"a trial of the task '{like.task}' cannot start from the state of a training of '{self.task}'")
        if self.division != like.division:
            raise UserError(
                f"a trial on division {like.division} of the data cannot start from a state that was trained on division "
                f"{self.division}: it has seen examples that are scored here"
            )
        own, wanted = _forms(self.state), _forms(like.state)
        for name in sorted(own.keys() | wanted.keys()):
            if own.get(name) != wanted.get(name):
                raise UserError(
                    f"the state that a trial of the task '{self.task}' starts from does not fit: {name} is "
                    f"{own.get(name, 'absent')}, not {wanted.get(name, 'absent')}; network, optimiser and epochs have to be "
                    "those that it was made with"
                )


def with_key_data(state: TrainState) -> TrainState:
    """The state with the data of its key in place of the key (pure)."""
    return dataclasses.replace(state, key=jax.random.key_data(state.key))


def _forms(state: TrainState) -> dict[str, str]:
    """Path of a leaf -> `float32[3, 4]`."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a trial gave.

    Attributes:
      score: the task's metric, or None where nothing was scored, the training was stopped by NaN or infinity, or the metric
        itself is that.
      scores: all scores of the task; none where the metric is None.
      steps: steps that the training has done, those before the trial's start included.
      finite: False where it was stopped by NaN or infinity, or the metric is that.
      end: handle to the end, where it was asked for; of a training that was stopped, to its last finite state.
      shown: what the network makes of the examples of `Task.pictures`, where it was asked for, the task has these, and the
        training was not stopped.
    """

    score: float | None
    scores: Mapping[str, float]
    steps: int
    finite: bool
    end: StateHandle | None = None
    shown: Mapping[str, np.ndarray] | None = None
