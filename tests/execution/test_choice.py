"""The choice of an execution: by the machine, by its memory, by a measurement."""

import itertools

import jax
import pytest

from jaxloss.cli.progress import ConsoleProgress
from jaxloss.config import MAY_CHANGE
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.core.errors import UserError
from jaxloss.execution import choice, measure
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import ExecutionFactory, Parallelism, choose, derived_lanes
from jaxloss.execution.population import PopulationExecution
from jaxloss.runs import RunDirectory
from jaxloss.study.experiment import Experiment
from jaxloss.tasks.base import SEARCH_EVAL
from tests.execution.trainings import CROSS_ENTROPY, FOCAL, SETTINGS, TASK, TEXTS, make, trial

# --- the choice --------------------------------------------------------------------------------------------------------------


def examples():
    return [trial(text) for text in TEXTS]


def chosen(mode, lanes=0, most_lanes=None):
    return choose(mode, lanes, most_lanes, examples(), ExecutionFactory(TASK, SETTINGS))


def test_automatic_choices(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert chosen("auto")[0] == Parallelism("serial")
    assert chosen("vmap", lanes=7)[0] == Parallelism("vmap", 7)
    assert chosen("vmap", most_lanes=2)[0] == Parallelism("vmap", 2)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for devices, mode in ((1, "vmap"), (2, "pmap")):
        monkeypatch.setattr(jax, "device_count", lambda count=devices: count)
        assert chosen("auto", lanes=5)[0] == Parallelism(mode, 5)


@pytest.mark.parametrize("mode", ["pmap", "data_parallel"])
def test_one_device_is_not_several(monkeypatch, mode):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    with pytest.raises(UserError, match=f"execution.mode={mode} needs several devices, and there is one"):
        chosen(mode)


def lanes_within(monkeypatch, budget, needed, most=1000):
    """The lanes that are chosen where `needed(lanes)` bytes are taken, beside the data, and how many were compiled for."""
    compiled = []

    def memory(self, trial):
        compiled.append(self.lanes)
        return self.data_bytes(trial.division) + needed(self.lanes)

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(PopulationExecution, "memory", memory)
    monkeypatch.setattr(choice, "memory_budget", lambda: budget)
    return derived_lanes(most, trial(CROSS_ENTROPY), ExecutionFactory(TASK, SETTINGS)), compiled


@pytest.mark.parametrize(
    ("budget", "needed", "most", "lanes", "compiled"),
    [
        (20_000, lambda lanes: 1000 * lanes, 1000, 16, [4, 16, 32]),
        (10**12, lambda lanes: 1000 * lanes, 1000, choice.MOST_LANES, [4, choice.MOST_LANES]),
        (10**12, lambda lanes: 1000 * lanes, 12, 12, [12]),
        (10, lambda lanes: 1000 * lanes, 1000, 1, [4, 2]),
        # It grows faster than from the first few lanes on: the extrapolated 64 would not fit, nor would 32.
        (64_000, lambda lanes: 250 * lanes**2, 1000, 16, [4, 64, 32, 16]),
        (100_000, lambda lanes: 1000 * lanes + 60_000 * (lanes > 40), 50, 32, [4, 50, 32]),
        # A part that all lanes share makes few of them look dear.
        (50_000, lambda lanes: 30_000 + 1000 * lanes, 1000, 16, [4, 8, 16, 32]),
    ],
)
def test_the_largest_population_that_fits_is_found(monkeypatch, budget, needed, most, lanes, compiled):
    assert lanes_within(monkeypatch, budget, needed, most) == (lanes, compiled)


def test_the_memory_of_a_population_is_that_of_its_compiled_step(monkeypatch):
    """With just what eight lanes take, eight are chosen."""
    example = Trial(FOCAL, FOCAL.encode({"gamma": 1.0}), 0.3, 0, 0, SEARCH_EVAL)
    eight = make("vmap", lanes=8)
    budget = eight.memory(example) - eight.data_bytes(0)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(choice, "memory_budget", lambda: budget)
    assert derived_lanes(16, example, ExecutionFactory(TASK, SETTINGS)) == 8
    assert not eight.compilations["training focal"]


@pytest.mark.slow
def test_a_measurement_looks_at_every_possible_mode():
    examples = [Trial(FOCAL, FOCAL.encode({"gamma": gamma}), 0.2, 0, 0, SEARCH_EVAL) for gamma in (1.0, 2.0)]
    parallelism, seconds = choose("measure", 0, None, examples, ExecutionFactory(TASK, SETTINGS))
    several = {"pmap", "data_parallel"} if jax.device_count() > 1 else set()
    assert set(seconds) >= {"serial", "vmap"} | several - {"data_parallel"}
    assert parallelism.mode == min(seconds, key=seconds.get)
    # A step of this tiny training takes microseconds; less was not seen, but taken for the scatter of a call.
    assert all(1e-7 < value < 1 for value in seconds.values())


class Clockwork:
    """An execution whose every call takes so many seconds beyond a start that scatters."""

    at_once = 1

    def __init__(self, step_seconds, most_steps):
        self.step_seconds, self.most_steps = step_seconds, most_steps
        self.now, self.scatter = 0.0, itertools.cycle([0.010, 0.003, 0.0032, 0.0029, 0.0031])

    def first_steps(self, trials, num_steps):
        steps = min(num_steps, self.most_steps)
        self.now += next(self.scatter) + steps * self.step_seconds
        return steps


@pytest.mark.parametrize(("step_seconds", "most_steps"), [(1e-2, 100), (1e-5, 10**6), (1e-6, 50)])
def test_no_mode_is_infinitely_fast(monkeypatch, step_seconds, most_steps):
    """Steps that drown in the scatter of a start are taken more often; where there are no more, the start counts as steps."""
    clockwork = Clockwork(step_seconds, most_steps)
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clockwork.now)
    found = measure.measure(clockwork, [None], 20).step_seconds
    if most_steps > 50:
        assert found == pytest.approx(step_seconds, rel=0.1)
    else:
        assert found == pytest.approx(0.003 / 50, rel=0.2)


# --- in a run ----------------------------------------------------------------------------------------------------------------


def opened(tmp_path, mode):
    config = load_config("tests/configs/tiny.py")
    config.execution.mode, config.execution.lanes = mode, 2
    with RunDirectory.open(tmp_path / "run", config.to_dict(), MAY_CHANGE) as run:
        experiment = Experiment(make_plan(config), run, ConsoleProgress(quiet=True))
        experiment.close()
        return experiment.parallelism


def test_what_was_measured_is_pinned_in_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    measured = iter([{"serial": 2.0, "vmap": 1.0}, {"serial": 1.0, "vmap": 2.0}])
    monkeypatch.setattr(choice, "_measured", lambda *_: next(measured))
    assert opened(tmp_path, "measure") == opened(tmp_path, "measure") == Parallelism("vmap", 2)
    # Nothing was trained yet, so that the config may still change.
    assert opened(tmp_path, "auto") == Parallelism("serial")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert opened(tmp_path, "auto") == Parallelism("serial")
