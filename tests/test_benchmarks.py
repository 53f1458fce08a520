"""The benchmarks run from the command line and write what they promise; how fast anything is, is not tested."""

import importlib.util
import json

import jax
import numpy as np
import pytest

from experiments.benchmarks import cluster, common, dense_training, everything, interpreter, population, rejection, simulation
from experiments.equivalence import memory
from jaxloss.core.errors import UserError
from jaxloss.execution.base import Trial
from jaxloss.graphs.formula import parse
from jaxloss.tasks.base import SEARCH_EVAL

FACTS = {"device", "jax", "commit", "command"}


# Those of a population are compiled for each size, without the cache.
@pytest.mark.parametrize("chosen", [("vmap_gradient", "jit_forward"), pytest.param(interpreter.WAYS, marks=pytest.mark.slow)])
def test_interpreter(tmp_path, capsys, monkeypatch, chosen):
    monkeypatch.setattr(interpreter, "LEAST_SECONDS", 0)
    table, plot = tmp_path / "out.json", tmp_path / "out.png"
    tiny = ["--populations", "3,2", "--sizes", "2x3", "--jit", "1", "--repetitions", "1", "--ways", ",".join(chosen)]
    interpreter.main([*tiny, "--json", str(table), "--plot", str(plot)])
    results = json.loads(table.read_text())
    assert results.keys() > FACTS
    assert results["left_out"] == []
    rows = results["rows"]
    ways = {*chosen, *(f"{way}_compiling" for way in interpreter.JIT_WAYS if way in chosen)}
    assert {row["way"] for row in rows} == ways
    for row in rows:
        assert {"way", "population", "shape", "seconds", "evaluations_per_second", "compile_seconds"} <= row.keys()
        assert row["evaluations_per_second"] == pytest.approx(row["population"] / row["seconds"])
    found = [(row["shape"], row["population"]) for row in rows if row["way"] == "vmap_gradient"]
    assert found == [([2, 1, 1, 3], 2), ([2, 1, 1, 3], 3)]
    population_ways = [way for way in chosen if way not in interpreter.JIT_WAYS]
    assert [(row["way"], row["against"], row["at"]) for row in results["slopes"]] == [
        (way, "population", "2x1x1x3") for way in population_ways
    ]
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "vmap_gradient" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("branch", ["regression", "classification"])
def test_simulation(tmp_path, branch):
    table = tmp_path / "out.json"
    tiny = ["--branch", branch, "--losses", "6", "--images", "2", "--locations", "3", "--iterations", "20", "--eager", "1"]
    simulation.main([*tiny, "--jit", "1", "--json", str(table)])
    results = json.loads(table.read_text())
    assert results.keys() > FACTS
    rows = {row["name"]: row for row in results["rows"]}
    assert list(rows) == ["eager", "jit_per_candidate", "simulation", "generation"]
    assert results["verdicts_that_differ"] == []
    assert results["verdicts_compared"] == 1
    assert results["compilations"] == {"gradient": 1, "convergence": 1, "simulation": 1}
    assert rows["simulation"]["candidates"] == 6 <= rows["generation"]["candidates"]


@pytest.mark.slow
def test_rejection(tmp_path, capsys):
    trees, table = tmp_path / "trees.json", tmp_path / "out.json"
    trees.write_text(json.dumps(["Neg(Mul(target, Log(prediction)))", "Mul(target, Log(prediction))", "Log(1)"] * 2))
    tiny = ["--trees", str(trees), "--entries", "6", "--iterations", "3", "--eager", "1", "--jit", "2", "--stream", "40"]
    rejection.main([*tiny, "--width", "8", "--growth", "2,6", "--json", str(table)])
    results = json.loads(table.read_text())
    assert results.keys() > FACTS
    names = [row["name"] for row in results["rows"]]
    assert names == ["eager", "jit_per_candidate", "full", "shipped_list", "shipped_random"]
    for row in results["rows"]:
        assert set(rejection.COLUMNS) <= row.keys()
    assert results["verdicts_that_differ"] == []
    assert results["distinct_entries"] == 3
    assert min(results["host_graphs_per_second"].values()) > 0
    assert [row["entries"] for row in results["growth"]] == [2, 6]
    full, shipped, stream = results["rows"][2:]
    assert full["compilations"] == {"gradient": 1, "rejection": 1}
    assert sum(shipped["reasons"].values()) == 6
    assert shipped["reasons"]["no_prediction"] == 2
    assert sum(stream["reasons"].values()) == 40
    assert "jit_per_candidate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "must hold a JSON list of formulas"),
        ('["1"]', "holds 1 formulas, --entries asks for 2"),
        ('["1", "Lg(1)"]', "unknown operator 'Lg'"),
        (json.dumps(["1", "Exp(" * 31 + "prediction" + ")" * 31]), "is too large: a program of this space holds 24 operators"),
        (None, "cannot read"),
    ],
)
def test_trees_that_cannot_be_read(tmp_path, content, message):
    trees = tmp_path / "trees.json"
    if content is not None:
        trees.write_text(content)
    with pytest.raises(UserError, match=message):
        rejection.main(["--trees", str(trees), "--entries", "2"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--growth", "2,2"], "--growth takes different numbers of at most --entries = 8"),
        (["--growth", "16"], "--growth takes different numbers of at most --entries = 8"),
        (["--devices", "99"], "--devices asks for 99 devices, there are"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_before_the_work(arguments, message):
    with pytest.raises(UserError, match=message):
        rejection.main(["--entries", "8", *arguments])


@pytest.mark.parametrize("arguments", [["--growth", "abc"], ["--width", "-3"], ["--eager", "-1"], ["--seed", "x"]])
def test_numbers_that_are_none_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        rejection.main(arguments)
    assert "whole number" in capsys.readouterr().err


@pytest.mark.slow
def test_a_benchmark_that_fails_is_said_at_the_end(tmp_path, monkeypatch, capsys):
    """All others run; nobody takes the failure for a success."""
    monkeypatch.setattr(everything, "commands", lambda accelerator: {"one": ["nowhere"], "two": ["interpreter", "--help"]})
    with pytest.raises(SystemExit) as error:
        everything.main(["--out", str(tmp_path)])
    assert error.value.code == 1
    assert "one failed with exit code 1" in capsys.readouterr().err


@pytest.mark.slow
def test_memory_of_rejected_losses(tmp_path, capsys):
    memory.main(["--trees", "200", "--json", str(tmp_path / "out.json")])
    results = json.loads((tmp_path / "out.json").read_text())
    assert results.keys() > FACTS
    assert 200 > results["with_inputs"] >= results["with_gradient"] > results["passing"] > 0
    assert {row["memory"] for row in results["rows"]} >= {"norms, 2 digits", "signed sketch, 4 digits"}
    assert "have a gradient" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is absent: pip install jaxloss[ray]")
def test_cluster(tmp_path, capsys, monkeypatch):
    """Threads and workers give the same scores."""
    monkeypatch.setattr(cluster, "_REPEATS", 1)
    monkeypatch.setattr(cluster, "WAYS", ((cluster.LOCAL, 1), (cluster.RAY, 2)))
    cluster.main(["--trainings", "3", "--epochs", "1", "--json", str(tmp_path / "out.json")])
    results = json.loads((tmp_path / "out.json").read_text())
    assert results.keys() > FACTS
    assert [(row["executor"], row["workers"], row["same_scores"]) for row in results["rows"]] == [
        ("local", 1, True),
        ("ray", 2, True),
    ]
    assert "ray 2: " in capsys.readouterr().out


def test_everything_names_existing_benchmarks(tmp_path, capsys):
    for accelerator in (False, True):
        for module, *_ in everything.commands(accelerator).values():
            assert importlib.util.find_spec(f"experiments.benchmarks.{module}")
    with pytest.raises(SystemExit):
        everything.main(["--out", str(tmp_path), "--only", "rejections"])
    assert "no results 'rejections'" in capsys.readouterr().err


def test_slopes_of_known_powers():
    rows = [
        {"way": "a", "population": population, "shape": [size, 1, 1, 1], "seconds": population * size**2}
        for population in (2, 8, 4)
        for size in (3, 5)
    ]
    found = interpreter.slopes(rows)
    assert [row["at"] for row in found] == ["3x1x1x1", "5x1x1x1", 2, 8, 4]
    for row in found:
        power = 1 if row["against"] == "population" else 2
        assert row["slope"] == pytest.approx(power)
        assert row["slope_of_last_two"] == pytest.approx(power)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--populations", "3,0"], "'3,0' is not a list of whole numbers above 0"),
        (["--sizes", "4x3x2"], "'4x3x2' is no list of samples x classes"),
        (["--ways", "vmap_gradients"], "Did you mean 'vmap_gradient'"),
        (["--jit", "0"], "'0' is not a whole number above 0"),
        (["--json", "absent/out.json"], "cannot write the file absent/out.json"),
    ],
)
def test_arguments_that_cannot_be(arguments, message, capsys):
    with pytest.raises(SystemExit) as error:
        interpreter.main(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_random_formulas():
    first = common.random_formulas(20, 0, needed=("prediction", "target"))
    assert common.random_formulas(30, 0, needed=("prediction", "target"))[:20] == first
    assert common.random_formulas(20, 1, needed=("prediction", "target")) != first
    layout = common.BRANCH.form.layout
    for text in first:
        graph = parse(text, layout.operators, layout.inputs)
        assert graph.input_names == {"prediction", "target"}
        assert graph.depth == 3
    seen = set()
    some = common.random_formulas(50, 0, seen)
    assert len(seen) == 50
    assert not set(some) & set(common.random_formulas(50, 0, seen))


def test_random_problem():
    problem = common.random_problem(3, 2, 4, 5, 0)
    assert problem.start.shape == problem.context["target"].shape == (3, 2, 4, 5)
    np.testing.assert_allclose(problem.start.sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(problem.metrics(problem.context["target"]), 1.0)
    np.testing.assert_array_equal(problem.metrics(-problem.context["target"]), 0.0)
    np.testing.assert_array_equal(problem.metrics(problem.start * np.nan), 0.0)


def population_rows(path, modes, *more):
    population.main(["--models", "mlp", "--modes", modes, "--steps", "3", "--json", str(path), *more])
    results = json.loads(path.read_text())
    assert results.keys() > FACTS
    return results["rows"]


# The row of one mode is looked at below, in a population that does not fit.
@pytest.mark.slow
def test_population(tmp_path):
    serial, vmap = population_rows(tmp_path / "out.json", "serial,vmap", "--candidates", "2")
    assert (serial["mode"], vmap["mode"], vmap["at_once"], vmap["compilations"]) == ("serial", "vmap", 2, 1)
    assert serial["data"].startswith("digits")
    assert serial["speedup"] == 1
    assert vmap["speedup"] == pytest.approx(vmap["candidates_per_hour"] / serial["candidates_per_hour"])


def test_a_population_that_does_not_fit_is_not_run(tmp_path, monkeypatch):
    candidate = common.SPACE.encode(common.SPACE.parse("Neg(Mul(target, Log(prediction)))"))
    monkeypatch.setattr(population, "_trials", lambda factory: [Trial(common.SPACE, candidate, 0.003, 0, 0, SEARCH_EVAL)])
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(population, "free_memory", lambda: 1000)
    (row,) = population_rows(tmp_path / "out.json", "vmap", "--candidates", "2")
    assert not row["fits"]
    assert row["memory_mib"] > row["free_mib"]
    assert "step_ms" not in row


@pytest.mark.slow
def test_dense_training_compares_the_ways_of_a_step(tmp_path):
    file = tmp_path / "dense.json"
    dense_training.main(
        ["--height", "17", "--width", "17", "--classes", "3", "--steps", "2", "--repetitions", "1", "--json", str(file)]
    )
    rows = json.loads(file.read_text())["rows"]
    assert [row["dispatch"] for row in rows] == ["whole"] * 4 + ["steps"] * 3 + ["parts"] * 3
