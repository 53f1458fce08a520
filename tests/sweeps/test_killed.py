"""A sweep that is killed and given again at once: its runs of before end by themselves, and are waited for."""

import signal
import sys

import pytest

from jaxloss.runs.files import LOCK_FILE
from jaxloss.runs.lock import Lock, holder_of
from jaxloss.sweeps.points import Point
from jaxloss.sweeps.work import here, work
from tests.runs.processes import process

POINT = Point("seed=0", {})
# Has the lock of a run, and takes its time to stop when it is asked to.
RUN = """
import pathlib, sys, time
from jaxloss.runs.lock import Lock
lock = Lock(pathlib.Path(sys.argv[1]))
print("begun", flush=True)
try:
    time.sleep(float(sys.argv[2]))
except KeyboardInterrupt:
    time.sleep(2)
    print("stopped", flush=True)
    sys.exit(130)
"""
SWEEP = """
import pathlib, sys
from jaxloss.sweeps.points import Point
from jaxloss.sweeps.work import here, work
workdir = pathlib.Path(sys.argv[1])
command = [sys.executable, "-c", sys.argv[3], str(workdir / "seed=0" / sys.argv[2]), "60"]
work([Point("seed=0", {})], lambda point: command, workdir, 1, lambda line: print(line, flush=True), here(1))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell a process nothing of its parent's end")
def test_a_killed_sweep_is_gone_on_with_at_once(tmp_path):
    (tmp_path / POINT.name).mkdir()
    lock, log, said = tmp_path / POINT.name / LOCK_FILE, tmp_path / f"{POINT.name}.log", []
    with process(SWEEP, tmp_path, LOCK_FILE, RUN) as sweep:
        assert sweep.stdout.readline() == "seed=0: begins\n"
        while not (log.exists() and log.read_text()):
            assert sweep.poll() is None
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
        holder = holder_of(lock)
        assert holder.startswith("process ")
        command = [sys.executable, "-c", RUN, str(lock), "0"]
        assert work([POINT], lambda point: command, tmp_path, 1, said.append, here(1)) == {}
    assert said[0] == f"seed=0: {holder} is still at work on it; waiting for its end, a minute at the most"
    assert said[1] == "seed=0: begins"
    assert said[2].startswith("seed=0: finished")
    assert log.read_text() == "begun\n"


def test_nobody_has_a_lock_that_is_free_or_not_there(tmp_path):
    path = tmp_path / LOCK_FILE
    assert holder_of(path) is None
    assert not path.exists()
    lock = Lock(path)
    assert holder_of(path).startswith("process ")
    lock.release()
    assert holder_of(path) is None
