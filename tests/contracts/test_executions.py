"""What every way of carrying trainings out promises."""

import jax
import numpy as np
import pytest

from jaxloss.execution.base import Trial
from jaxloss.execution.choice import ExecutionFactory, choose
from jaxloss.execution.settings import DATA_PARALLEL, PMAP, SERIAL, VMAP
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.registry import TASKS
from jaxloss.tasks.settings import TrainingSettings
from tests.compilations import counted
from tests.contracts.all_spaces import SPACES, draw

needs_devices = pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")


@pytest.mark.parametrize(
    "mode", [SERIAL, VMAP, pytest.param(PMAP, marks=needs_devices), pytest.param(DATA_PARALLEL, marks=needs_devices)]
)
def test_an_execution_gives_results_in_the_order_of_the_trials_and_compiles_once(mode):
    fast = TASKS["fast"]
    task = fast.make(fast.settings(size=40), TaskContext())
    factory = ExecutionFactory(task, TrainingSettings(batch_size=8, num_epochs=2.0))
    space = SPACES["polynomials (outside)"]()
    trials = [Trial(space, space.encode(draw(space, seed)), 0.1, seed, 0, SEARCH_EVAL) for seed in range(5)]
    execution = factory.make(choose(mode, 2, None, trials, factory)[0])
    found = [outcome.score for outcome, _ in execution.run(trials)]
    with counted() as compilations:
        backwards = [outcome.score for outcome, _ in execution.run(trials[::-1])]
    assert not compilations
    execution.close()
    np.testing.assert_allclose(found, backwards[::-1], atol=0.03)
    assert set(execution.compilations.values()) == {1}
