"""The export command: the losses of a run as text, SymPy, LaTeX and Python."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from examples.own_weights import polynomials
from jaxloss import export
from jaxloss.config import default_config
from jaxloss.config.stored import stored_space
from jaxloss.core.errors import UserError
from jaxloss.runs.directory import RunDirectory
from jaxloss.runs.rows import CandidateRow
from jaxloss.search.loop import WHOLE
from jaxloss.symbolic import symbols
from jaxloss.tasks.base import STORED_RANGES
from tests.errors import user_error
from tests.launch.command import run as train
from tests.symbolic.formulas import RANGES
from tests.symbolic.source import load

CROSS_ENTROPY, SECOND = "Neg(Mul(target, Log(prediction)))", "Square(Add(target, Neg(prediction)))"


@pytest.fixture
def run(tmp_path):
    """A run without a summary: three scores for two losses, one loss without a score, and the row of a mere branch."""
    rows = [
        (WHOLE, SECOND, "b", 0.5),
        (WHOLE, CROSS_ENTROPY, "a", 0.9),
        (WHOLE, CROSS_ENTROPY, "a", 0.8),
        (WHOLE, "Abs(prediction)", "c", None),
        ("classification", "Abs(prediction)", "c", 1.0),
    ]
    common = {"search": "evolution", "attempt": 0, "origin": "random", "reason": "accepted"}
    with RunDirectory.open(tmp_path / "run", default_config().to_dict()) as directory:
        directory.archive.commit(
            candidates=[
                CandidateRow(proposal=index, branch=branch, formula=text, key=key, score=score, **common)
                for index, (branch, text, key, score) in enumerate(rows)
            ],
            state={STORED_RANGES: {"classification": {"prediction": (0, 1), "target": (0, 1)}}},
        )
    return directory.path


def test_export_ranks_an_unfinished_run_by_its_archive(run, capsys):
    assert export.main([str(run), "--format=text"]) == 0
    printed = f"{CROSS_ENTROPY}\n-target*log(prediction)\nsimplified for prediction in (0, 1), target in [0, 1]\n"
    assert capsys.readouterr().out == printed
    assert export.main([str(run), "--rank=2", "--format=sympy"]) == 0
    assert symbols.read(capsys.readouterr().out, RANGES) == symbols.read("(prediction - target)**2", RANGES)


def test_export_of_a_run_without_ranges_assumes_nothing(tmp_path, capsys):
    with RunDirectory.open(tmp_path / "run", default_config().to_dict()) as directory:
        directory.write_summary({"ranking": [{"rank": 1, "formula": "Abs(Abs(prediction))", "search_eval": 0.7}]})
    assert export.main([str(directory.path), "--format=text"]) == 0
    assert capsys.readouterr().out == "Abs(Abs(prediction))\nAbs(prediction)\nsimplified for any real prediction\n"


def test_export_reads_the_ranking_of_the_summary_and_writes_a_file(run, tmp_path, capsys):
    tuned = {"learning_rate": 0.22361, "hyperparameters": {"log2_s": 2.6667}}
    ranking = [{"rank": 1, "formula": SECOND, "search_eval": 0.7, "tuned": tuned}, {"rank": 2, "formula": CROSS_ENTROPY}]
    (run / "summary.json").write_text(json.dumps({"ranking": ranking}))
    output = tmp_path / "loss.py"
    assert export.main([str(run), "--output", str(output)]) == 0
    assert capsys.readouterr().out == ""
    module = load(output.read_text(), tmp_path)
    assert "rank 1 of 2" in module.__doc__
    assert "Tuned for the comparison of that run: learning_rate 0.2236, log2_s 2.667." in module.__doc__
    assert "for prediction in (0, 1), target in [0, 1]: (prediction - target)**2" in module.__doc__
    assert "0.7" in module.__doc__
    np.testing.assert_allclose(module.loss(jnp.full((2, 3), 0.5), jnp.ones((2, 3))), 0.75)
    assert export.main([str(run), "--rank=2", "--format=latex"]) == 0
    assert capsys.readouterr().out == "- y \\log{\\left(\\hat{y} \\right)}\n"


def test_export_says_what_was_merged_and_what_does_nothing(run, tmp_path, capsys):
    minimal = {"formula": "Neg(target)", "simplified": "-target"}
    merged = {"formula": SECOND, "trained": CROSS_ENTROPY, "merged": 3, "minimal": minimal}
    (run / "summary.json").write_text(json.dumps({"ranking": [merged, {"formula": SECOND, "merged": 1, "minimal": None}]}))
    lines = (
        "Without terms that do nothing on the task of that run: Neg(target) = -target",
        "Merged: 3 formulas that were found are this loss on that task.",
        f"The scores are those of {CROSS_ENTROPY}, which is the same loss there.",
    )
    assert export.main([str(run)]) == 0
    module = load(capsys.readouterr().out, tmp_path)
    assert set(lines) <= set(module.__doc__.splitlines())
    assert f"Formula: {SECOND}" in module.__doc__
    assert export.main([str(run), "--format=text"]) == 0
    assert capsys.readouterr().out.endswith("\n".join(["", *lines, ""]))
    assert export.main([str(run), "--rank=2"]) == 0
    assert not set(lines) & set(capsys.readouterr().out.splitlines())


def test_each_loss_of_a_comparison_is_exported_by_its_name(run, tmp_path, capsys):
    names = {"gce": None, "published": SECOND, CROSS_ENTROPY: CROSS_ENTROPY, "untested": "Abs(target)"}
    scores = {"gce": 0.7, "published": 0.6, CROSS_ENTROPY: 0.8, "untested": None}
    rows = [
        {
            "name": name,
            "kind": "handcrafted" if formula is None else "published",
            "formula": formula,
            "tuned": {
                "search_eval": scores.get(name),
                "learning_rate": 0.1,
                "hyperparameters": {"q": 0.25} if name == "gce" else {},
                "test_mean": 0.5,
                "test_ci95": [0.4, 0.6],
            },
        }
        for name, formula in names.items()
    ]
    (run / "summary.json").write_text(json.dumps({"comparison": rows}))
    for number, formula in enumerate((CROSS_ENTROPY, SECOND, "Abs(target)"), start=1):
        assert export.main([str(run), f"--rank={number}", "--format=text"]) == 0
        assert capsys.readouterr().out.splitlines()[0] == formula
    for name, formula in (("published", SECOND), (CROSS_ENTROPY, CROSS_ENTROPY)):
        assert export.main([str(run), f"--name={name}"]) == 0
        module = load(capsys.readouterr().out, tmp_path)
        assert f"Formula: {formula}" in module.__doc__
        assert f"A loss in the space autoloss_zero: '{name}' in the run 'run'." in module.__doc__
        assert jaxloss.load_loss(run, name=name).formula == formula
    assert export.main([str(run), "--name=gce"]) == 0
    module = load(capsys.readouterr().out, tmp_path)
    assert "A hand-crafted loss: 'gce' in the run 'run'." in module.__doc__
    assert "Tuned for the comparison of that run: learning_rate 0.1, q 0.25. What stands below is the loss with" in module.__doc__
    logits, target = jnp.array([[0.5, -1.0, 2.0]]), jnp.array([[1.0, 0.0, 0.0]])
    wanted = jaxloss.loss("gce", q=0.25)(logits, target)
    assert module.loss(logits, target) == pytest.approx(float(wanted), rel=1e-6)
    assert jaxloss.load_loss(run, name="gce")(logits, target) == pytest.approx(float(wanted), rel=1e-6)
    # The function knows what the file says.
    assert "A hand-crafted loss: 'gce' in the run 'run'." in jaxloss.load_loss(run, name="gce").python("numpy")
    # As the table has it.
    assert export.main([str(run), "--name=GCE", "--format=text"]) == 0
    assert capsys.readouterr().out.startswith("gce with q = 0.25: (1 - p_y^q) / q")
    for arguments, says in (
        (["--name=gce", "--format=latex"], "cannot be written as latex: the hand-crafted 'gce' is there as python, numpy, "),
        (["--name=publishd"], "unknown loss in the comparison of this run 'publishd'. Did you mean 'published'?"),
        (["--name=published", "--rank=1"], "not allowed with argument"),
    ):
        assert export.main([str(run), *arguments]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert error.count("\n") == 1


def test_a_run_of_hand_crafted_losses_alone_has_no_rank_and_says_their_names(tmp_path):
    row = {"name": "gce", "formula": None, "kind": "handcrafted", "tuned": {"search_eval": 0.9}}
    with RunDirectory.open(tmp_path / "run", default_config().to_dict()) as directory:
        directory.write_summary({"comparison": [row]})
    with user_error("no loss of the run in", "has a formula, and a rank: name one of gce"):
        jaxloss.load_loss(tmp_path / "run")


def test_a_loss_that_a_run_trains_with_is_its_first(tmp_path, capsys):
    path = tmp_path / "run"
    assert train(path, "mode=train", f"loss={CROSS_ENTROPY}", "comparison.test_seeds=1", "training.num_epochs=1.0") == 0
    assert export.main([str(path), "--format=numpy"]) == 0
    printed = capsys.readouterr().out
    assert "A loss in the space autoloss_zero: rank 1 of 1 in the run 'run'.\n" in printed
    # Nothing was tuned.
    assert "On the test split: " in printed
    assert "Tuned for" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name=gce"], "there is no loss 'gce': the run in"),
        (["--rank=3"], "has 2 ranked losses"),
        (["--rank=0"], "has 2 ranked losses"),
        (["--format=pyton"], "unknown format 'pyton'. Did you mean 'python'?"),
        (["--time_limit=0"], "time_limit must be a number of seconds above 0, not 0"),
        (["--time_limit=nan"], "time_limit must be a number of seconds above 0, not nan"),
        (["--rank=first"], "argument --rank: invalid int value: 'first'. usage: python -m jaxloss.export"),
        (["--output=/no/such/folder/loss.py"], "cannot write '/no/such/folder/loss.py'"),
    ],
)
def test_export_reports_mistakes_in_one_line(run, capsys, arguments, message):
    assert export.main([str(run), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_export_needs_a_run(tmp_path, capsys):
    assert export.main([str(tmp_path / "nothing")]) == 2
    assert "is not the directory of a run" in capsys.readouterr().err
    with pytest.raises(UserError, match="not the directory of a run"):
        stored_space(tmp_path)


# --- spaces that make mistakes --------------------------------------------------------------------------------------------------


def raising(*_):
    return 1 // 0


def own(mistake):
    """A space whose losses are no graphs, which makes a mistake."""
    space = polynomials()
    if mistake.startswith("latex"):
        for branch in space.branches:
            object.__setattr__(branch.form, "latex", raising if mistake == "latex raises" else lambda _: 3)
        return space
    written = {"python is none": None, "python is broken": "def loss(: oops"}
    return dataclasses.replace(space, write_python=raising if mistake == "python raises" else lambda *_: written[mistake])


@pytest.mark.parametrize(
    ("mistake", "format", "says"),
    [
        ("python raises", "python", "write_python of the space of '1, 0, 0, 0' raises ZeroDivisionError"),
        ("python is none", "python", "write_python of the space of '1, 0, 0, 0' must give text, not None"),
        (
            "python is broken",
            "python",
            "write_python of the space of '1, 0, 0, 0' must give a Python module, and gives one that ",
        ),
        ("latex raises", "latex", "latex of the form of the branch classification raises ZeroDivisionError"),
        ("latex is none", "latex", "latex of the form of the branch classification must give text, not an int"),
    ],
)
def test_a_mistake_of_a_space_is_one_line(tmp_path, capsys, mistake, format, says):
    config = default_config()
    config.space.name = "tests.symbolic.test_export:own"
    config.space.options.mistake = mistake
    with RunDirectory.open(tmp_path / "run", config.to_dict()) as directory:
        directory.write_summary({"ranking": [{"rank": 1, "formula": "1, 0, 0, 0", "search_eval": 0.7}]})
    assert export.main([str(directory.path), f"--format={format}"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
