"""Files are written all or nothing, and JSON gives every number back."""

import math
import os

import numpy as np
import pytest

from jaxloss.runs import atomic, json_text
from tests.runs.processes import process


def test_json_gives_every_float_back():
    values = [0.1 + 0.2, 5e-324, -0.0, math.inf, -math.inf, math.nan, 1e22]
    back = json_text.loads(json_text.dumps({"values": values, "array": np.float32([0.1]), "scalar": np.int64(7)}))
    assert np.array(back["values"]).tobytes() == np.array(values).tobytes()
    assert back["array"] == [float(np.float32(0.1))]
    assert back["scalar"] == 7
    with pytest.raises(TypeError, match="object"):
        json_text.dumps({"x": object()})


def test_atomic_write_replaces_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    atomic.write_text(path, "old")
    with pytest.raises(TypeError):
        atomic.write_json(path, {"x": object()})

    def fail(*_):
        raise OSError("killed before the new file took its place")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="killed"):
            atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]
    atomic.write_text(path, "Verlust \N{GREEK SMALL LETTER LAMDA}")
    assert path.read_text(encoding="utf-8") == "Verlust \N{GREEK SMALL LETTER LAMDA}"


HALF = """
import os, sys, time
from jaxloss.runs import atomic

def replace(*_):
    print("half", flush=True)
    time.sleep(60)

os.replace = replace
atomic.write_text(sys.argv[1], "new")
"""


def test_what_a_killed_write_leaves_is_removed_and_what_is_being_written_is_not(tmp_path):
    (tmp_path / ".thesis.tex.tmp").write_text("mine")
    with process(HALF, tmp_path / "report.html") as writer:
        assert writer.stdout.readline() == "half\n"
        (temporary,) = (name for name in os.listdir(tmp_path) if atomic.is_temporary(name))
        atomic.remove_leftovers(tmp_path)
        atomic.write_text(tmp_path / "report.html", "another")
        assert temporary in os.listdir(tmp_path)
    atomic.write_text(tmp_path / "summary.json", "of another file")
    assert temporary in os.listdir(tmp_path)
    atomic.write_text(tmp_path / "report.html", "old")
    assert sorted(os.listdir(tmp_path)) == [".thesis.tex.tmp", "report.html", "summary.json"]
    with process(HALF, tmp_path / "report.html") as writer:
        writer.stdout.readline()
    assert len(os.listdir(tmp_path)) == 4
    atomic.remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".thesis.tex.tmp", "report.html", "summary.json"]
    assert (tmp_path / "report.html").read_text() == "old"
