"""Hand-crafted losses of several branches: composed by name, tuned and tested as those of one branch are."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from jaxloss import launch
from jaxloss.config.plan import make_contender, make_rival
from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs
from jaxloss.runs import open_for_reading
from jaxloss.spaces.families import FAMILIES, family
from jaxloss.spaces.titles import loss_name
from jaxloss.study.contender import GIVEN, HANDCRAFTED
from jaxloss.study.tuning_points import spread_points
from jaxloss.systems.autoloss_zero.space import AutoLossZeroSettings, autoloss_zero
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.registry import TASKS, RegisteredTask

ONE, PAIR = autoloss_zero(), autoloss_zero(AutoLossZeroSettings(("a", "b"), (1.0, 2.0)))
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
SHORT = (
    "comparison.tuning_trainings=4",
    "comparison.tuning_finalists=2",
    "comparison.tuning_seeds=1",
    "comparison.test_seeds=1",
    "training.num_epochs=2.0",
)


def inputs_of(seed):
    logits = jax.random.normal(jax.random.key(seed), (5 + seed, 1, 1, 3))
    return LossInputs.create({"logits": logits, "target": jax.nn.one_hot(jnp.arange(5 + seed) % 3, 3)[:, None, None]})


def test_one_branch_is_as_it_was():
    """Name, hyper-parameters and the program of the loss."""
    inputs = {"classification": inputs_of(0)}
    for name in ("cross_entropy", "sce"):
        rival = make_contender(name, ONE)
        assert (rival.name, rival.kind, rival.identity) == (name, HANDCRAFTED, name)
        assert dict(rival.tuning_ranges) == dict(family(name).tuning_ranges)
        encoded = rival.encode(rival.default(0.1))
        programs = [str(jax.make_jaxpr(one.loss)(encoded, inputs)) for one in (rival.family, family(name))]
        assert programs[0] == programs[1]


@pytest.mark.parametrize(
    ("text", "name", "numbers"),
    [
        ("cross_entropy", "cross_entropy", []),
        ("a: gce | b: gce", "gce", ["a.q", "b.q"]),
        ("b:sce|a:mae", "a: mae | b: sce", ["b.alpha", "b.beta"]),
        ("a: focal | b: cross_entropy", "a: focal | b: cross_entropy", ["a.gamma"]),
    ],
)
def test_names_and_hyperparameters(text, name, numbers):
    rival = make_contender(text, PAIR)
    assert (rival.name, rival.kind, rival.family.name) == (name, HANDCRAFTED, name)
    assert list(rival.tuning_ranges) == list(rival.default(0.1).hyperparameters) == numbers
    for setting in spread_points(rival, 3, 0.1, 1.0):
        assert sorted(setting.hyperparameters) == numbers


def test_the_loss_is_the_weighted_sum():
    rival = make_rival("a: gce | b: focal", PAIR)
    inputs = {"b": inputs_of(1), "a": inputs_of(0)}
    values = {"a.q": 0.3, "b.gamma": 1.5}
    gce, focal = FAMILIES["gce"], FAMILIES["focal"]
    expected = gce.loss(gce.encode({"q": 0.3}), {"": inputs["a"]}) + 2 * focal.loss(
        focal.encode({"gamma": 1.5}), {"": inputs["b"]}
    )
    assert float(rival.family.loss(rival.family.tuned(None, values), inputs)) == pytest.approx(float(expected), rel=1e-6)


def test_a_formula_of_two_branches_is_no_rival():
    assert make_contender(f"a: {CROSS_ENTROPY} | b: {CROSS_ENTROPY}", PAIR).kind == GIVEN


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: crossentropy | b: gce", "unknown hand-crafted loss 'crossentropy'. Did you mean 'cross_entropy'?"),
        ("a: crossentropy | b: gcee", "unknown loss 'crossentropy'. Did you mean 'cross_entropy'?"),
        (f"a: gce | b: {CROSS_ENTROPY}", f"unknown hand-crafted loss '{CROSS_ENTROPY}'"),
        ("a: gce | c: gce", "a hand-crafted loss of several branches has the form 'a: LOSS | b: LOSS', not 'a: gce | c: gce'"),
        (
            "a: gce | b",
            "unknown hand-crafted loss ''. Choices: absolute_error, arcface, balanced_softmax",
        ),
    ],
)
def test_a_mistake_in_one_branch(text, says):
    with pytest.raises(UserError) as caught:
        make_contender(text, PAIR)
    assert says in str(caught.value)


def test_names_as_people_write_them():
    assert loss_name("a: cross_entropy | b: gce") == "a: cross-entropy | b: GCE"
    assert loss_name("cross_entropy, best of 32") == "cross-entropy, best of 32"


# --- runs --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs on two branches; returns the exit code, what was printed and the run's directory."""
    registered = RegisteredTask(FastSettings, lambda *_: make_fast(FastSettings(("a", "b"), size=30)))
    monkeypatch.setitem(TASKS, "fast", registered)

    def call(*overrides, branches="('a', 'b')", weights="(1.0, 2.0)"):
        space = (f"space.autoloss_zero.branches={branches}", f"space.autoloss_zero.branch_weights={weights}")
        arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path / 'run'}"]
        short = SHORT if "mode=train" not in overrides else ()
        code = launch.main(arguments + [f"--config.{override}" for override in (*short, *space, *overrides)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err, tmp_path / "run"

    return call


@pytest.mark.parametrize("mode", ["serial", pytest.param("vmap", marks=pytest.mark.slow)])
def test_two_branches_are_tuned_and_tested(run, mode):
    losses = f"('cross_entropy', 'a: gce | b: focal', 'a: {CROSS_ENTROPY} | b: {CROSS_ENTROPY}')"
    code, printed, path = run("mode=compare", f"losses={losses}", f"execution.mode={mode}")
    assert code == 0, printed
    assert "a.q 0." in printed
    with open_for_reading(path) as opened:
        summary, rows = opened.read_summary(), opened.archive.trainings()
    own = {row["name"]: row for row in summary["comparison"]}
    assert list(own)[:2] == ["cross_entropy", "a: gce | b: focal"]
    assert sorted(own["a: gce | b: focal"]["tuned"]["hyperparameters"]) == ["a.q", "b.gamma"]
    assert {row.loss for row in rows if row.formula is None} == {"cross_entropy", "a: gce | b: focal"}
    # The same loss twice: a formula and a hand-crafted one, both with the space's weights.
    untuned = [own[name]["untuned"]["scores"] for name in ("cross_entropy", list(own)[2])]
    assert [score for *_, score in untuned[0]] == pytest.approx([score for *_, score in untuned[1]], abs=0.04)
    assert set(summary["compilations"].values()) == {1}


# Searches on two branches are in tests/test_examples.py too.
@pytest.mark.slow
def test_a_search_on_two_branches_has_its_rivals(run):
    search = ("search.num_trainings=3", "search.control=false", "search.evolution.initial_population=2")
    search += ("filters.rejection.enabled=false", "comparison.rank_candidates=1", "comparison.rank_seeds=1")
    code, printed, path = run("comparison.handcrafted=('mae', 'b: gce | a: mae')", *search)
    assert code == 0, printed
    with open_for_reading(path) as opened:
        names = [row["name"] for row in opened.read_summary()["baselines"]]
    assert names == ["mae", "a: mae | b: gce"]
    assert "a: MAE | b: GCE" in (path / "report.html").read_text()


def test_a_space_of_one_branch_on_a_task_of_two(run):
    code, printed, path = run("mode=train", "loss=gce", branches="b", weights="(2.0,)")
    assert code == 0, printed
    with open_for_reading(path) as opened:
        (row,) = opened.read_summary()["comparison"]
    assert row["tuned"]["hyperparameters"] == {"q": 0.7}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            ("comparison.handcrafted=('gce', 'a: gce | b: gce')",),
            "names one loss twice: 'gce' and 'a: gce | b: gce' are the same",
        ),
        ((f"comparison.handcrafted=('a: {CROSS_ENTROPY} | b: gce',)",), "unknown hand-crafted loss"),
        (("comparison.handcrafted=('a: gce | b: arcface',)",), "needs the input 'cosine', the branch b of the task fast offers"),
        (("mode=compare", "losses=('a: gce | b: arcface',)"), "leave it out of config key losses"),
    ],
)
def test_a_rival_that_does_not_fit(run, overrides, says):
    code, printed, path = run(*overrides)
    assert code == 2
    assert says in printed
    assert printed.count("\n") == 1
    assert not path.exists()


def test_a_branch_without_an_input_of_the_family(run, monkeypatch):
    task = make_fast(FastSettings(("a", "b"), size=30))
    lacking = dataclasses.replace(task, offers={**task.offers, "b": ("prediction", "target")}, with_division=lambda _: lacking)
    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_: lacking))
    code, printed, _ = run("comparison.handcrafted=('cross_entropy',)")
    assert code == 2
    assert "'cross_entropy' needs the input 'logits', the branch b of the task fast offers ['prediction', 'target']" in printed
