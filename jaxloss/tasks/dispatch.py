"""How the steps of a training are handed to the device: in one call with a loop inside, or one by one and ahead of it."""

import collections
from collections.abc import Callable
from typing import Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.base import Task
from jaxloss.tasks.data.stream import is_streamed

# One call per training, one per step, or three per step with a loss that is compiled for its candidate (`step_in_parts`).
AUTO, WHOLE, STEPS, PARTS = DISPATCHES = ("auto", "whole", "steps", "parts")

# So often the host asks for the flag of a step.
STEPS_BETWEEN_FLAGS = 20


class HasFinite(Protocol):
    """A state with `finite` bool `[...]`, of all trainings that go on together."""

    finite: Array


State = TypeVar("State", bound=HasFinite)


def resolve_dispatch(dispatch: str, task: Task) -> str:
    """`auto` is `steps` for networks with convolutions on a CPU, where a convolution inside a loop is slow, else `whole`.

    Raises:
      UserError: for `whole` where the training data are streamed: a loop on the device cannot fetch them.
    """
    if is_streamed(task.data):
        if dispatch == WHOLE:
            raise UserError(
                "execution.dispatch=whole needs the training data on the device, and those of the task "
                f"{task.name} are streamed: choose steps or auto"
            )
        return STEPS if dispatch == AUTO else dispatch
    slow_loop = task.native_convolution and jax.default_backend() == "cpu"
    return (STEPS if slow_loop else WHOLE) if dispatch == AUTO else dispatch


def dispatch_steps(step: Callable[[State], State], state: State, num_steps: int, most_ahead: int | None = None) -> State:
    """Calls `step` at most `num_steps` times and waits for none of them, or only for those long before.

    A flag of an earlier step is looked at once it is there; when no training is finite any more, no further step follows. How
    many were dispatched until then depends on the machine, the result does not: such a training stands still.

    Args:
      step: dispatches one step, and may take the state's buffers (`donate_argnums`).
      state: before the first step; it is given away.
      num_steps: the most.
      most_ahead: steps that may wait on the device, each with a batch of its own, before the host waits for the first of them;
        None for any number.
    """
    flag, waiting = None, collections.deque()
    for number in range(num_steps):
        state = step(state)
        if flag is not None and flag.is_ready():
            if not np.any(flag):
                break
            flag = None
        if flag is None and number % STEPS_BETWEEN_FLAGS == 0:
            # A copy: the next step takes the buffer of the state's own.
            flag = jnp.copy(state.finite)
        if most_ahead is not None:
            waiting.append(jnp.copy(state.finite))
            if len(waiting) > most_ahead:
                waiting.popleft().block_until_ready()
    return state
