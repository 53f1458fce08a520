"""How the steps of a training are handed to the device: in one call with a loop inside, or one by one and ahead of it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array
from jaxloss.tasks.base import Task

# So often the host asks for the flag of a step.
STEPS_BETWEEN_FLAGS = 20


class HasFinite(Protocol):
    """A state with `finite` bool `[...]`, of all trainings that go on together."""

    finite: Array


State = TypeVar("State", bound=HasFinite)


def resolve_dispatch(dispatch: str, task: Task) -> str:
    """`auto` is `steps` for networks with convolutions on a CPU, where a convolution inside a loop is slow, else `whole`."""
    slow_loop = task.native_convolution and jax.default_backend() == "cpu"
    return ("steps" if slow_loop else "whole") if dispatch == "auto" else dispatch


def dispatch_steps(step: Callable[[State], State], state: State, num_steps: int) -> State:
    """Calls `step` at most `num_steps` times and waits for none of them.

    A flag of an earlier step is looked at once it is there; when no training is finite any more, no further step follows. How
    many were dispatched until then depends on the machine, the result does not: such a training stands still.

    Args:
      step: dispatches one step, and may take the state's buffers (`donate_argnums`).
      state: before the first step; it is given away.
      num_steps: the most.
    """
    flag = None
    for number in range(num_steps):
        state = step(state)
        if flag is not None and flag.is_ready():
            if not np.any(flag):
                break
            flag = None
        if flag is None and number % STEPS_BETWEEN_FLAGS == 0:
            # A copy: the next step takes the buffer of the state's own.
            flag = jnp.copy(state.finite)
    return state
