"""Two processes that train each network together store what one process with two devices stores."""

import os
import socket
import subprocess
import sys

import pytest

import jaxloss
from jaxloss.config.file import load_config
from jaxloss.runs import Archive
from tests.errors import user_error

TINY = "tests/configs/tiny.py"
COMMON = ("mode=compare", "losses=('cross_entropy', 'focal')", "execution.mode=data_parallel")
SHORT = ("comparison.tuning_seeds=1", "comparison.test_seeds=1", "training.num_epochs=2.0")
GIVEN = {"execution.mode": "data_parallel", "execution.distributed.start": "given"}


def start(workdir, num_devices, *overrides):
    command = [f"--config={TINY}", f"--workdir={workdir}", *(f"--config.{one}" for one in (*COMMON, *SHORT, *overrides))]
    flags = " ".join(one for one in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in one)
    return subprocess.Popen(
        [sys.executable, "-m", "jaxloss.launch", *command],
        env={**os.environ, "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={num_devices}".strip()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.slow
def test_two_processes_store_what_one_stores(tmp_path):
    others = ("start=given", f"coordinator=127.0.0.1:{free_port()}", "num_processes=2")
    distributed = [f"execution.distributed.{one}" for one in others]
    one = start(tmp_path / "one", 2)
    two = [
        start(tmp_path / f"process {number}", 1, *distributed, f"execution.distributed.process_id={number}") for number in (0, 1)
    ]
    for process in (one, *two):
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
    # Only the first of them has an archive.
    assert not (tmp_path / "process 1").exists()
    with Archive(tmp_path / "one/archive.sqlite") as expected, Archive(tmp_path / "process 0/archive.sqlite") as found:
        assert len({row.score for row in found.trainings()}) > 1
        assert found.comparable() == expected.comparable()
    assert jaxloss.open_run(tmp_path / "process 0").summary["execution"]["devices"] == 2


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (GIVEN, "config key execution.distributed.coordinator must be HOST:PORT of the machine of process 0, not ''"),
        (
            {**GIVEN, "execution.distributed.coordinator": "a:1", "execution.distributed.process_id": 1},
            "config key execution.distributed.process_id must be below num_processes, 1, not 1",
        ),
        ({"execution.distributed.start": "automatic"}, "it is read with execution.mode=data_parallel"),
        (
            {"execution.mode": "data_parallel", "execution.distributed.num_processes": 2},
            "it is read with execution.distributed.start=given",
        ),
    ],
)
def test_mistakes_are_one_line(overrides, says):
    with user_error(says):
        load_config(TINY, overrides)
