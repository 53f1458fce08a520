"""Steps are handed to the device ahead of it, neither waiting for it nor too far."""

import dataclasses

import numpy as np
import pytest

from jaxloss.tasks import dispatch
from jaxloss.tasks.dispatch import dispatch_steps


class Flag:
    """An array that says it is there only after it was asked often enough, and may not be read before."""

    def __init__(self, value, patience):
        self.value, self.patience = value, patience

    def is_ready(self):
        self.patience -= 1
        return self.patience < 0

    def __array__(self, dtype=None, copy=None):
        assert self.patience < 0, "the host would have waited"
        return np.asarray(self.value)


@dataclasses.dataclass(frozen=True)
class Count:
    step: int
    nan_from: int
    patience: int

    @property
    def finite(self):
        return Flag(self.step < self.nan_from, self.patience)

    def next(self):
        return dataclasses.replace(self, step=self.step + 1)


@pytest.mark.parametrize(
    ("nan_from", "patience", "steps"),
    [(1000, 0, (200, 200)), (0, 1000, (200, 200)), (0, 0, (1, 3)), (50, 0, (50, 90)), (50, 30, (50, 130))],
)
def test_the_host_never_waits_for_a_step(monkeypatch, nan_from, patience, steps):
    """It goes on while a flag is not there, and stops soon after one that says NaN."""
    monkeypatch.setattr(dispatch.jnp, "copy", lambda flag: flag)
    least, most = steps
    assert least <= dispatch.dispatch_steps(Count.next, Count(0, nan_from, patience), 200).step <= most


class Step:
    """A state whose flags say when somebody waits for them."""

    def __init__(self, number, waited):
        self.number, self.waited = number, waited
        self.finite = self

    def is_ready(self):
        return False

    def block_until_ready(self):
        self.waited.append(self.number)


@pytest.mark.parametrize("most_ahead", [1, 3])
def test_the_host_is_not_further_ahead_than_asked(monkeypatch, most_ahead):
    monkeypatch.setattr("jaxloss.tasks.dispatch.jnp.copy", lambda flag: flag)
    waited, ahead = [], []

    def step(state):
        ahead.append(state.number - len(waited))
        return Step(state.number + 1, waited)

    dispatch_steps(step, Step(0, waited), 10, most_ahead)
    assert waited == list(range(1, 11 - most_ahead))
    assert max(ahead) == most_ahead
