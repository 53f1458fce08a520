"""Results in a notebook: HTML and LaTeX, and tables for pandas where it is there."""

import importlib.util

import pytest

import jaxloss
from jaxloss import launch
from tests.errors import user_error
from tests.short_comparison import SHORT_COMPARISON


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "run"
    overrides = {**SHORT_COMPARISON, "comparison.test_seeds": "2", "search.control": "false", "search.num_trainings": "3"}
    given = [f"--config.{key}={value}" for key, value in overrides.items()]
    assert launch.main(["--config=tests/configs/tiny.py", f"--workdir={workdir}", *given]) == 0
    return jaxloss.open_run(workdir)


def rich(shown, kind):
    """As a notebook asks for it."""
    return getattr(shown, f"_repr_{kind}_")()


def test_results_are_a_formula_and_a_table(results):
    shown = rich(results, "html")
    assert "fast: accuracy on test" in shown
    assert shown.count("<tr>") == 1 + len(results.comparison())
    assert " ± " in shown
    assert "$\\displaystyle " in shown
    assert rich(results.best, "latex") == f"$\\displaystyle {results.best.latex}$"
    assert rich(jaxloss.loss("gce"), "latex") is None


def test_a_table_for_pandas(results):
    with user_error("unknown table 'candidate'. Did you mean 'candidates'?"):
        results.frame("candidate")
    if importlib.util.find_spec("pandas") is None:
        with user_error("frame needs pandas, which is not installed: pip install pandas, or take results.trainings()"):
            results.frame("trainings")
    else:
        assert len(results.frame("trainings")) == len(results.trainings())
