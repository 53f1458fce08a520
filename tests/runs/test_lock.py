"""One process at a time writes a run."""

import os
import shutil
import signal
import time

from jaxloss.runs import (
    RunDirectory,
    open_for_reading,
)
from tests.errors import user_error
from tests.runs.processes import process

HOLDS = """
import sys, time
from jaxloss.runs import RunDirectory
run = RunDirectory.open(sys.argv[1], {'seed': 0})
print("open", flush=True)
time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    with process(HOLDS, tmp_path) as holder:
        assert holder.stdout.readline() == "open\n"
        with user_error("in use", f"process {holder.pid}", str(tmp_path)):
            RunDirectory.open(tmp_path, {"seed": 0})
        open_for_reading(tmp_path).close()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with RunDirectory.open(tmp_path, {"seed": 0}), user_error("in use", f"process {os.getpid()}"):
            RunDirectory.open(tmp_path, {"seed": 0})
    RunDirectory.open(tmp_path, {"seed": 0}).close()


FORKS = """
import os, sys, time
from jaxloss.runs import RunDirectory
run = RunDirectory.open(sys.argv[1], {'seed': 0})
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""


def test_a_forked_worker_does_not_keep_the_lock(tmp_path):
    with process(FORKS, tmp_path) as parent:
        child = int(parent.stdout.readline())
        try:
            time.sleep(0.2)
            with user_error("in use", f"process {parent.pid}"):
                RunDirectory.open(tmp_path, {"seed": 0})
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            os.kill(child, 0)  # The worker lives on.
            RunDirectory.open(tmp_path, {"seed": 0}).close()
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_refused_open_gives_the_lock_back(tmp_path):
    RunDirectory.open(tmp_path, {"seed": 0}).close()
    (tmp_path / "archive.sqlite").write_bytes(b"damaged " * 1000)
    with user_error("archive.sqlite"):
        RunDirectory.open(tmp_path, {"seed": 0})
    (tmp_path / "archive.sqlite").unlink()
    # Metrics without an archive are half a run: it is not begun over them.
    with user_error("metrics.jsonl", "archive.sqlite"):
        RunDirectory.open(tmp_path, {"seed": 0})
    (tmp_path / "metrics.jsonl").unlink()
    shutil.rmtree(tmp_path / "tensorboard")
    RunDirectory.open(tmp_path, {"seed": 0}).close()
