"""The process that simplifies: stopped when it hangs, replaced when it dies, and not believed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import jaxloss
from jaxloss.symbolic import client
from jaxloss.symbolic.client import SimplificationWorker
from jaxloss.symbolic.expression import sympy_text
from jaxloss.symbolic.proposals import RAW
from jaxloss.symbolic.simplify import Simplified, simplify
from tests.symbolic.formulas import zero


def run_python(*arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(jaxloss.__file__).parents[1])}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment)


def planted(script: str) -> SimplificationWorker:
    head = "import json, sys, time\ndef say(**c): print(json.dumps(c), flush=True)\nsay(ready=True)\nfor line in sys.stdin:\n"
    return SimplificationWorker([sys.executable, "-c", head + "".join(f"    {line}\n" for line in script.splitlines())])


def test_a_wrong_simplification_from_the_worker_is_refused():
    with planted("say(method='without epsilon', text='target*log(prediction)')\nsay(done=True)") as worker:
        (found,) = simplify([zero("Neg(Mul(target, Log(prediction)))")], worker=worker)
    assert found == Simplified(None, RAW, refused=("target*log(prediction)",))


def test_a_hanging_simplification_is_stopped_and_reported():
    formula = zero("Neg(Mul(target, Log(prediction)))")
    with planted("while True: pass") as worker:
        started = time.monotonic()
        proposals, note = worker.ask({"text": sympy_text(formula), "ranges": {}, "epsilon": 1e-12}, time_limit=0.3)
        assert (proposals, note) == ([], "the time limit of 0.3 s was reached")
        (found,) = simplify([formula], time_limit=0.3, worker=worker)
        assert time.monotonic() - started < 10
    assert found.method == RAW
    assert not found.verified
    assert "0.3 s" in found.note


def test_what_came_before_the_time_limit_is_used():
    with planted("say(method='without epsilon', text='-target*log(prediction)')\nwhile True: pass") as worker:
        (found,) = simplify([zero("Neg(Mul(target, Log(prediction)))")], time_limit=0.3, worker=worker)
    assert str(found.expression) == "-target*log(prediction)"
    assert "time limit" in found.note


def test_a_worker_that_has_to_wait_for_a_processor_is_waited_for():
    """What a summary says of a loss must not depend on what else the machine does."""
    with planted("time.sleep(1)\nsay(method='without epsilon', text='x')\nsay(done=True)") as worker:
        assert worker.ask({"text": "x"}, 0.3) == ([("without epsilon", "x")], "")


def test_a_worker_that_waits_for_ever_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(client, "PATIENCE", 2)
    with planted("time.sleep(60)") as worker:
        assert worker.ask({"text": "x"}, 0.3) == ([], "the time limit of 0.3 s was reached")


def test_the_next_formula_gets_a_new_worker_when_one_died():
    with planted("sys.exit(1) if 'prediction' in line else say(error='no')") as worker:
        assert worker.ask({"text": "prediction"}, 5) == ([], "the worker process died")
        assert worker.ask({"text": "target"}, 5) == ([], "no")


def test_an_error_in_sympy_leaves_the_worker_alive():
    with SimplificationWorker() as worker:
        proposals, note = worker.ask({"text": "1 +", "ranges": {}, "epsilon": None}, 20)
        assert proposals == []
        assert "SympifyError" in note
        assert worker.ask({"text": "1 + 1", "ranges": {}, "epsilon": None}, 20) == ([("simplified", "2")], "")


def test_the_worker_loads_no_jax():
    code = "import sys, jaxloss.symbolic.worker; sys.exit('jax' in sys.modules)"
    assert run_python("-c", code).returncode == 0


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from jaxloss.graphs.formula import parse\n"
        "from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO\n"
        "from jaxloss.symbolic.describe import describe_formula\n"
        "inputs = ('prediction', 'target')\n"
        "print(describe_formula(parse('Abs(Abs(prediction))', AUTOLOSS_ZERO, inputs), AUTOLOSS_ZERO, inputs).simplified_text)\n"
    )
    done = run_python(str(script))
    assert (done.returncode, done.stdout) == (0, "Abs(prediction)\n"), done.stderr
