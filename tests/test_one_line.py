"""A new system, task, search, operator set, metric or data source is one file and one line: each is written here and named."""

import dataclasses
import importlib
import re
import textwrap

import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss import export, launch
from jaxloss.report import __main__ as report
from jaxloss.search.registry import SEARCHES
from jaxloss.systems.registry import SYSTEMS
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.registry import TASKS, RegisteredTask
from tests.short_comparison import SHORT_COMPARISON

# A system in one file: settings, operators, a space of graphs over them, a published loss.
SYSTEM = '''
    import dataclasses

    from jaxloss.core.settings import Settings, setting
    from jaxloss.graphs.form import GraphForm
    from jaxloss.graphs.graph import Graph, Node
    from jaxloss.graphs.operators.elementwise import ADD, MUL, NEG
    from jaxloss.graphs.operators.operator import Operator, OperatorSet
    from jaxloss.graphs.program import Layout
    from jaxloss.spaces.base import Branch, Space
    from jaxloss.systems.base import System

    THIRD = Operator("Third", 1, lambda x: x / 3, "({0})/3", r"\\frac{{{0}}}{{3}}", python="({0}) / 3")
    THIRDS = OperatorSet("thirds", "nobody, 2026", (ADD, MUL, NEG, THIRD))


    @dataclasses.dataclass(frozen=True)
    class ThirdSettings(Settings, section="space.thirds"):
        """Thirds of predictions."""

        branch: str = setting("classification", "Name of the loss branch")
        most: int = setting(3, "Thirds one behind the other", low=1, high=5)


    def thirds(settings: ThirdSettings) -> Space:
        """Losses such as `Neg(Mul(target, Third(prediction)))`."""
        form = GraphForm(Layout(THIRDS, ("prediction", "target"), 8, 1))

        def sample(generator, branch):
            text = "prediction"
            for _ in range(generator.integers(1, settings.most, endpoint=True)):
                text = f"Third({text})"
            return form.parse(f"Neg(Mul(target, {text}))")

        def offspring(generator, branch, parents):
            return sample(generator, branch), "anew"

        return Space("thirds", (Branch(settings.branch, form),), sample, offspring)


    THIRD_SYSTEM = System("thirds", ThirdSettings, thirds, published={"thirds_one": "Neg(Mul(target, Third(prediction)))"})
'''


ALONE = {"search.control": "false", "comparison.handcrafted": "()", **SHORT_COMPARISON}


@pytest.fixture
def run(tmp_path, capsys):
    def call(**overrides):
        arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}"]
        code = launch.main(arguments + [f"--config.{key}={value}" for key, value in overrides.items()])
        return code, capsys.readouterr(), tmp_path / "run"

    return call


def test_a_system_is_a_file_and_a_line(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "third_system.py").write_text(textwrap.dedent(SYSTEM))
    monkeypatch.syspath_prepend(str(tmp_path))
    # The line.
    monkeypatch.setitem(SYSTEMS, "thirds", importlib.import_module("third_system").THIRD_SYSTEM)

    gain = {"filters.rejection.minimum_gain": "0.1", **ALONE}
    code, printed, workdir = run(**{"space.name": "thirds", "space.thirds.most": "5", "search.num_trainings": "3"}, **gain)
    assert code == 0, printed
    best = jaxloss.open_run(workdir).best
    assert re.fullmatch(r"Neg\(Mul\(target, (Third\()+prediction\)+", best.formula)
    # It is drawn and exported like any other.
    assert report.main([str(workdir)]) == 0
    assert (workdir / "report.html").read_text().count("pull on the right logit") >= 2
    capsys.readouterr()
    assert export.main([str(workdir), "--format=python"]) == 0
    scope = {}
    exec(capsys.readouterr().out, scope)
    prediction, target = jnp.array([[0.7, 0.3]]), jnp.array([[1.0, 0.0]])
    np.testing.assert_allclose(scope["loss"](prediction, target), best(prediction, target), rtol=1e-6)
    # Its keys have help, ranges and near matches.
    assert launch.main(["--help=space.thirds"]) == 0
    assert "Thirds one behind the other" in capsys.readouterr().out
    code, printed, _ = run(**{"space.name": "thirds", "space.thirds.most": "9"})
    assert (code, "space.thirds.most must be at most 5" in printed.err) == (2, True)
    code, printed, _ = run(**{"space.name": "thirds", "space.thirds.mots": "2"})
    assert (code, "Did you mean 'space.thirds.most'?" in printed.err) == (2, True)


def test_a_task_is_a_function_and_a_line(run, monkeypatch):
    """With a metric of its own, searched for by name."""

    def make(settings, context):
        fast = make_fast(settings)

        def scores(variables, examples):
            return {**fast.scores(variables, examples), "half": 0.5 * fast.scores(variables, examples)["accuracy"]}

        again = {"with_division": lambda number: make(settings, context)}
        return dataclasses.replace(fast, name="half", metric="half", scores=scores, **again)

    # The line.
    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, make))
    code, printed, workdir = run(mode="train", loss="cross_entropy")
    assert code == 0, printed
    (row,) = jaxloss.open_run(workdir).comparison().to_dict("records")
    assert row["tuned"]["test_means"]["half"] == pytest.approx(row["tuned"]["test_means"]["accuracy"] / 2)
    assert row["tuned"]["test_mean"] == pytest.approx(row["tuned"]["test_means"]["half"])


def test_a_search_is_a_class_and_a_line(run, monkeypatch):
    """One that proposes what the user gave, in turn."""

    class InTurn(SEARCHES["random_search"]):
        name = "in_turn"

        def ask(self, per_training=1):
            return [dataclasses.replace(one, given=self.given[one.number % 2]) for one in super().ask(per_training)]

        @property
        def given(self):
            formulas = ("Neg(Mul(target, Log(prediction)))", "Square(Add(prediction, Neg(target)))")
            return [self.space.parse(formula) for formula in formulas]

    # The line.
    monkeypatch.setitem(SEARCHES, "in_turn", InTurn)
    overrides = {"search.name": "in_turn", "search.num_trainings": "2", "filters.rejection.enabled": "false"}
    code, printed, workdir = run(**overrides, **ALONE)
    assert code == 0, printed
    trained = jaxloss.open_run(workdir).candidates().query("training")
    assert set(trained["search"]) == {"in_turn"}
    assert set(trained["origin"]) == {"seed"}
