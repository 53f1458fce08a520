"""Results in a notebook: HTML and LaTeX."""

import pytest

import jaxloss
from jaxloss import launch
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


def test_results_are_a_formula_a_table_and_a_plot(results):
    shown = rich(results, "html")
    assert "fast: accuracy on test" in shown
    assert shown.count("<tr>") == 1 + len(results.comparison())
    assert " ± " in shown
    assert 'class="formula"' in shown
    assert 'aria-label="Score by number of trainings, for each search"' in shown
    assert rich(results.best, "latex") == f"$\\displaystyle {results.best.latex}$"
    assert rich(jaxloss.loss("gce"), "latex") is None
