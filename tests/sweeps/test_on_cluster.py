"""A sweep whose runs are carried out by a Ray cluster of this machine."""

import importlib.util
import signal
import subprocess
import sys
import time

import pytest

from jaxloss.runs import Archive

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is absent: pip install jaxloss[ray]"),
]
SHORT = ("--config.search.control=False", "--config.search.num_trainings=3")
ONE, OTHER = "seed=0,learning_rate=0.03", "seed=1,learning_rate=0.03"


def start(workdir, *arguments):
    command = [
        "--config=tests/configs/tiny_sweep.py",
        f"--workdir={workdir}",
        "--where=learning_rate=0.03",
        "--parallel=2",
        *SHORT,
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "jaxloss.sweep", *command, *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def stored(workdir):
    found = {}
    for name in (ONE, OTHER):
        with Archive(workdir / name / "archive.sqlite") as archive:
            found[name] = archive.comparable()
    return found


def test_a_sweep_on_a_cluster_stops_goes_on_and_stores_what_it_stores_on_one_machine(tmp_path):
    on_ray, alone = tmp_path / "ray", tmp_path / "alone"
    stopped = start(on_ray, "--executor=ray")
    while not (on_ray / ONE / "archive.sqlite").exists():
        time.sleep(0.1)
        assert stopped.poll() is None, stopped.communicate()
    stopped.send_signal(signal.SIGINT)
    _, error = stopped.communicate()
    assert stopped.returncode == 130
    assert error.splitlines()[-1].startswith("stopped; everything done is saved. To go on: python -m jaxloss.sweep")
    done = start(on_ray, "--executor=ray")
    output, error = done.communicate()
    assert done.returncode == 0, error
    assert "2 of 2 runs" in output
    local = start(alone)
    _, error = local.communicate()
    assert local.returncode == 0, error
    assert stored(on_ray) == stored(alone)
