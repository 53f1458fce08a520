"""Checkpoints give every leaf back, and are whole or not there."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.runs import Checkpoints
from tests.errors import user_error
from tests.runs.processes import REPOSITORY, process

Moments = namedtuple("Moments", ["mean", "count"])


def tree():
    return {
        "params": {"w": jnp.arange(6.0).reshape(2, 3), "half": jnp.ones((2,), jnp.bfloat16) / 3},
        "moments": Moments(mean=np.float64([1 / 3]), count=jnp.int32(7)),
        "pair": (jnp.zeros(()), 5),
        "key": jax.random.key(3),
    }


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
        if hasattr(one, "dtype") and jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_checkpoints_round_trip(tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.names() == []
    with caplog.at_level(logging.INFO), caplog.at_level(logging.INFO, logger="absl"):
        checkpoints.save("network", tree())
        checkpoints.save("theta.1", [jnp.ones(2)])
        back = checkpoints.load("network", like=tree())
        assert logging.getLogger("absl").level == logging.INFO
    assert [record for record in caplog.records if record.name == "absl"] == []
    assert checkpoints.names() == ["network", "theta.1"]
    assert_same(back, tree())
    assert isinstance(back["params"]["w"], jax.Array)
    plain = checkpoints.load("network")
    assert type(plain["params"]["w"]) is np.ndarray
    assert plain["params"]["half"].dtype == jnp.bfloat16
    assert plain["moments"]["count"] == 7
    checkpoints.save("key", {"key": jax.random.key(3, impl="rbg")})
    abstract = checkpoints.load("key", like=jax.eval_shape(lambda: {"key": jax.random.key(0, impl="rbg")}))
    assert_same(abstract, {"key": jax.random.key(3, impl="rbg")})
    checkpoints.remove("key")
    checkpoints.remove("network")
    checkpoints.remove("network")
    assert Checkpoints(tmp_path / "checkpoints").names() == ["theta.1"]
    with user_error("network", "theta.1"):
        checkpoints.load("network")
    with pytest.raises(ValueError, match="name"):
        checkpoints.save("../network", tree())


def test_checkpoints_are_replaced_and_leftovers_are_nothing(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    # A process that was killed while it saved leaves orbax's temporary folder.
    (tmp_path / "x" / "2.orbax-checkpoint-tmp").mkdir(parents=True)
    assert checkpoints.names() == []
    checkpoints.save("x", {"a": jnp.zeros(3)})
    checkpoints.save("x", {"a": jnp.ones(4)})
    assert checkpoints.load("x")["a"].tolist() == [1.0] * 4
    assert len(os.listdir(tmp_path / "x")) == 1


def test_what_kills_have_left_is_removed(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.remove_leftovers()
    checkpoints.save("x", {"a": jnp.ones(4)})
    # A kill inside `save`: before the first version had its name, before the second had, and before the first was gone.
    (tmp_path / "checkpoints" / "y" / "1.orbax-checkpoint-tmp").mkdir(parents=True)
    (tmp_path / "checkpoints" / "x" / "2.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "checkpoints" / "x" / "0").mkdir()
    # And inside `remove`.
    (tmp_path / "checkpoints" / "z").mkdir()
    checkpoints.remove_leftovers()
    assert os.listdir(tmp_path / "checkpoints") == ["x"]
    assert os.listdir(tmp_path / "checkpoints" / "x") == ["1"]
    assert checkpoints.load("x")["a"].tolist() == [1.0] * 4


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("x", {"a": {"w": jnp.zeros(3)}})
    with user_error("'x'", "a/w", "float32[3]", "float32[4]"):
        checkpoints.load("x", like={"a": {"w": jnp.zeros(4)}})
    with user_error("a/w", "float32[3]", "int32[3]"):
        checkpoints.load("x", like={"a": {"w": jnp.zeros(3, jnp.int32)}})
    with user_error("lacks", "a/b"):
        checkpoints.load("x", like={"a": {"w": jnp.zeros(3), "b": jnp.zeros(3)}})
    with user_error("has", "a/w"):
        checkpoints.load("x", like={"a": {}})
    (folder,) = (tmp_path / "x").iterdir()
    for wrong in ("[]", "null", "{}", "{"):
        (folder / "_METADATA").write_text(wrong)
        with user_error("'x'", "damaged"):
            checkpoints.load("x")
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    with user_error("'x'", "damaged"):
        checkpoints.load("x")


SAVES = """
import sys
import jax.numpy as jnp
from jaxloss.runs import Checkpoints
checkpoints = Checkpoints(sys.argv[1])
number = 0
while True:
    number += 1
    checkpoints.save("x", {"a": jnp.full((50_000,), number), "b": jnp.full((5,), number)})
    print(number, flush=True)
"""


def test_kill_while_saving_leaves_a_whole_checkpoint(tmp_path):
    with process(SAVES, tmp_path) as writer:
        acknowledged = [int(writer.stdout.readline()) for _ in range(3)][-1]
        time.sleep(0.03)
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, re.findall(r"(\d+)\n", writer.stdout.read()))])
    loaded = Checkpoints(tmp_path).load("x")
    assert loaded["b"][0] in (acknowledged, acknowledged + 1)
    assert set(loaded["a"].tolist()) == set(loaded["b"].tolist())
    assert len(loaded["a"]) == 50_000


INTERRUPTED = """
import os, signal, sys
import jax.numpy as jnp
from jaxloss.core.interrupts import raise_interrupts
from jaxloss.runs import Checkpoints

def interrupt(event, arguments):
    if event == "os.remove" and not sent:
        sent.append(event)
        os.kill(os.getpid(), signal.SIGTERM)

sent = []
raise_interrupts()
sys.addaudithook(interrupt)
try:
    Checkpoints(sys.argv[1]).save("x", {"a": jnp.ones(4)})
except KeyboardInterrupt:
    print(sent, Checkpoints(sys.argv[1]).names(), flush=True)
    os._exit(130)
"""


def test_an_interrupt_lets_a_checkpoint_be_saved_and_says_no_more(tmp_path):
    """Orbax saves in a thread of its own, which would print a traceback where its checkpointer is closed too early."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, tmp_path], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "['os.remove'] ['x']\n", "")
    assert Checkpoints(tmp_path).load("x")["a"].tolist() == [1.0] * 4
