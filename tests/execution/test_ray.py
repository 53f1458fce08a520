"""A search on a Ray cluster of this machine: it stores what one process stores, also where a worker is killed on the way."""

import contextlib
import dataclasses
import importlib.util
import os
import signal
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxloss.config.execution import refuse_elsewhere
from jaxloss.config.file import load_config
from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.execution.cluster import connect
from jaxloss.runs import Archive
from jaxloss.spaces.families import family
from jaxloss.tasks.base import SEARCH_EVAL
from tests.errors import user_error
from tests.workshop import TINY, Workshop

ON_RAY = {"execution.executor": "ray", "execution.workers": 2}
DIGITS = {"task.name": "classification", "task.classification.model_options.features": (8,), "training.num_epochs": 8.0}
BUDGET = {"num_trainings": 7, "generation_size": 4}
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is absent: pip install jaxloss[ray]")


class KillsAWorker:
    """An execution one of whose workers is killed after the first training, while others are under way."""

    def __init__(self, execution):
        self.execution, self.killed = execution, []

    def run(self, trials):
        for done in self.execution.run(trials):
            if not self.killed:
                self.killed = worker_processes()[:1]
                os.kill(self.killed[0], signal.SIGKILL)
            yield done


def worker_processes():
    """Process ids of the workers on the cluster that this process has started."""
    parents, workers = {}, []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):  # no process, or one that has just ended
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if (folder / "cmdline").read_bytes().startswith(b"ray::RayWorker"):
                workers.append(int(folder.name))

    def is_ours(process):
        return process == os.getpid() or (process in parents and is_ours(parents[process]))

    return [process for process in workers if is_ours(process)]


@contextlib.contextmanager
def workshop(**overrides):
    made = Workshop(TINY, {**DIGITS, **overrides})
    try:
        yield made
    finally:
        made.execution.close()


@needs_ray
@pytest.mark.slow
def test_a_search_stores_what_one_process_stores_though_a_worker_is_killed(tmp_path):
    with workshop() as alone:
        expected = alone.finished(tmp_path / "alone", **BUDGET)
    with workshop(**ON_RAY) as shared, Archive(tmp_path / "shared") as archive:
        execution = KillsAWorker(shared.execution)
        shared.loop(archive, execution, **BUDGET).run()
        assert len(execution.killed) == 1
        found = archive.comparable()
        # Another one takes its place: this waits for two.
        space = shared.plan.space
        trial = Trial(space, space.encode(space.parse("Neg(Mul(target, Log(prediction)))")), 0.1, 0, 0, None)
        assert shared.execution.first_steps([trial, trial], 2) == 4
        assert not set(execution.killed) & set(worker_processes())
        assert len(worker_processes()) == 2
    assert sum(row["finite"] for row in expected["trainings"]) > 1
    assert found == expected
    assert not worker_processes()


@needs_ray
@pytest.mark.slow
def test_a_training_goes_from_one_process_to_another(tmp_path):
    """From a handle that this process has made, with a hand-crafted loss; mistakes come back as one line."""
    with workshop() as alone, workshop(**ON_RAY) as shared:
        focal = family("focal")
        first = Trial(focal, focal.tuned(None, {"gamma": 2.0}), 0.1, 0, 0, None, num_steps=5, keep_end=True)
        ((half, _),) = alone.execution.run([first])
        rest = dataclasses.replace(first, start=half.end, num_steps=None, evaluate_on=SEARCH_EVAL)
        other = dataclasses.replace(rest, learning_rate=0.01)
        expected = [outcome for outcome, _ in alone.execution.run([rest, other, rest])]
        found = [outcome for outcome, _ in shared.execution.run([rest, other, rest])]
        for one, another in zip(expected, found, strict=True):
            assert (one.score, one.scores, one.steps) == (another.score, another.scores, another.steps)
            jax.tree.map(np.testing.assert_array_equal, one.end.state, another.end.state)
        assert shared.execution.compilations["training focal"] in (1, 2)
        with user_error("a trial asks for 1000000 steps"):
            list(shared.execution.run([dataclasses.replace(first, num_steps=10**6)]))
        with user_error("unknown hand-crafted loss"):
            list(shared.execution.run([dataclasses.replace(first, family=dataclasses.replace(focal, name="mine"))]))
        # What was said of one training bars no other.
        ((again, _),) = shared.execution.run([rest])
        assert again.score == expected[0].score


@needs_ray
@pytest.mark.slow
def test_a_task_that_the_workers_cannot_import_is_one_line(monkeypatch):
    from jaxloss.tasks.fast import FastSettings, make_fast

    here = types.ModuleType("only_here")
    here.make = lambda: make_fast(FastSettings())
    monkeypatch.setitem(sys.modules, "only_here", here)
    made = Workshop(TINY, {"task.name": "only_here:make", **ON_RAY})
    try:
        trial = Trial(made.plan.space, made.plan.space.encode(made.plan.space.parse("Neg(Log(prediction))")), 0.1, 0, 0, None)
        with user_error("a worker on ", "cannot import the task 'only_here:make': No module named 'only_here'"):
            list(made.execution.run([trial]))
    finally:
        made.execution.close()


@needs_ray
@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at the address 127.0.0.1:1: Connection refused"),
        ("auto", "no connection to a Ray cluster at the address auto"),
        ("head", "the address of a Ray cluster is HOST:PORT, ray://HOST:PORT or auto, not 'head'"),
        ("head:99999999", "no Ray cluster answers at the address head:99999999"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_one_line(address, says):
    with user_error(says):
        connect(address)


def test_without_ray_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with user_error("pip install jaxloss[ray]"):
        connect("")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"execution.executor": "ray", "execution.mode": "pmap"}, "gives each worker one device, and execution.mode=pmap needs"),
        ({"execution.executor": "cluster"}, "unknown execution.executor 'cluster'"),
        ({"execution.address": "auto"}, "execution.address does nothing in this run: it is read with execution.executor=ray"),
    ],
)
def test_mistakes_in_the_config_are_one_line(overrides, says):
    with user_error(says):
        load_config(TINY, overrides)


def test_a_task_of_this_process_alone_is_refused():
    config = load_config(TINY, {"execution.executor": "ray"})
    config.task.name = "given"
    with pytest.raises(UserError, match="name a factory of yours in its place"):
        refuse_elsewhere(config)
