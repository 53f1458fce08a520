"""A whole run that learns a loss while networks train: what is compared, what is kept, what the page shows, and kill -9."""

import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxloss
from jaxloss import launch
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.report.page import render_report
from jaxloss.runs import open_for_reading
from jaxloss.tasks.base import TEST

REPOSITORY = Path(__file__).parents[2]
TINY = REPOSITORY / "tests/configs/tiny_lockstep.py"
CONTROLS_OFF = ("random=false", "replay=none", "last=false", "fixed=false", "longer=false", "best_of=false", "rate=given")
LABELS = [
    "learned in lock-step",
    "replayed schedule",
    "last centre",
    "fixed best loss",
    "random in lock-step",
    "cross_entropy, 4 x longer",
    "cross_entropy, best of 4",
    "cross_entropy",
]


def arguments_of(workdir, *overrides):
    return [f"--config={TINY}", f"--workdir={workdir}", *(f"--config.{override}" for override in overrides)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished") / "run"
    assert launch.main(arguments_of(workdir, "lockstep.rate=searched", "lockstep.rate_searches=2")) == 0
    return workdir


@pytest.mark.slow
def test_everything_is_compared_on_the_same_divisions_and_seeds(finished):
    summary = jaxloss.open_run(finished).summary
    assert [row["name"] for row in summary["comparison"]] == LABELS
    pairs = [[score[:2] for score in row["tuned"]["scores"]] for row in summary["comparison"]]
    assert all(one == pairs[0] for one in pairs)
    assert [row["second"] for row in summary["differences"]] == LABELS[1:]
    assert summary["headline"]["best_rival"]["second"] == "cross_entropy"
    assert summary["headline"]["random_search"]["second"] == "random in lock-step"
    assert [one["learns"] for one in summary["lockstep"]["searches"]] == [True, True, False, False]
    assert summary["compilations"]["training am_lfs"] == 1


def test_the_test_split_is_opened_when_all_is_learned(finished):
    rows = jaxloss.open_run(finished).trainings().to_dict("records")
    first = next(index for index, row in enumerate(rows) if row["evaluated_on"] == TEST)
    assert {row["evaluated_on"] for row in rows[first:]} == {TEST}
    searches = [row for row in rows if row["stage"].startswith("lockstep")]
    # Two searches for the rate and two for the table, with learning and without, of three rounds of four copies.
    assert len(searches) == 2 * (2 + 2) * 3 * 4


def test_the_network_that_is_kept_is_the_best_search_s_as_it_is(finished):
    with open_for_reading(finished) as run:
        summary, kept = run.read_summary(), run.checkpoints.load("best_network")
    searches = [one for one in summary["lockstep"]["searches"] if one["learns"]]
    best = max(searches, key=lambda one: one["search_eval"])
    assert summary["lockstep"]["best"] == best["name"]
    task = make_plan(load_config(str(TINY))).task
    scored = float(task.scores(jax.tree.map(np.asarray, kept), task.data[TEST])["accuracy"])
    scores = {tuple(score[:2]): score[2] for score in summary["comparison"][0]["tuned"]["scores"]}
    assert scored == pytest.approx(scores[best["division"], best["seed"]])


def test_the_schedule_is_code_that_runs(finished):
    module = {}
    exec((finished / "learned_schedule.py").read_text(), module)
    assert [end for end, _ in module["SCHEDULE"]] == [1.0, 2.0, 3.0]
    logits, target = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    assert np.isfinite(jax.grad(lambda x: module["loss"](x, target, 1.5))(logits)).all()
    assert "def loss(logits, target)" in jaxloss.open_run(finished).best.python()


def test_the_page_shows_what_was_learned(finished):
    page = (finished / "report.html").read_text()
    for words in ("Learned while the network trained", "Mean and best reward by round", "a_tau of the distribution by round",
                  "after round 3", "The losses that the network was trained with", "in round 2",
                  "CosFace, m = 0.35, for reference", "Every search"):  # fmt: skip
        assert words in page


def test_a_finished_run_does_nothing_more(finished):
    def content():
        with open_for_reading(finished) as run:
            return run.archive.trainings(), run.archive.state("clock")

    before = content()
    assert launch.main(arguments_of(finished, "lockstep.rate=searched", "lockstep.rate_searches=2")) == 0
    assert content() == before


@pytest.mark.slow  # that of `test_lockstep` stops at any moment without a process
def test_kill_9_in_the_middle_of_an_epoch_changes_nothing(tmp_path):
    """A process is killed between two commits of a search; the same command goes on and ends with the same bits."""
    overrides = [f"lockstep.{one}" for one in CONTROLS_OFF]
    overrides += ["lockstep.num_samples=6", "comparison.handcrafted=()", "training.num_epochs=4.0"]
    assert launch.main(arguments_of(tmp_path / "whole", *overrides)) == 0
    command = [sys.executable, "-m", "jaxloss.launch", *arguments_of(tmp_path / "killed", *overrides)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoints = tmp_path / "killed/checkpoints"
    while process.poll() is None and not list(checkpoints.glob("lockstep_0_round_1*")):
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -9
    with open_for_reading(tmp_path / "killed") as run:
        assert 1 <= len(run.archive.state("lockstep_0")["rounds"]) < 4
        # An unfinished run has a page too.
        assert "This run is unfinished" in render_report(run, None)
    assert launch.main(arguments_of(tmp_path / "killed", *overrides)) == 0
    contents = []
    for name in ("whole", "killed"):
        with open_for_reading(tmp_path / name) as run:
            contents.append((run.archive.comparable(), run.checkpoints.load("best_network")))
    assert contents[0][0] == contents[1][0]
    assert jax.tree.all(jax.tree.map(np.array_equal, contents[0][1], contents[1][1]))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("space.am_lfs.num_intervals=0",), "config key space.am_lfs.num_intervals must be at least 1, not 0"),
        (("space.am_lfs.sigma=0.0",), "config key space.am_lfs.sigma must be at least 1e-06, not 0.0"),
        (("lockstep.num_samples=1",), "config key lockstep.num_samples must be at least 2, not 1"),
        (
            ("space.am_lfs.similarity=cosine",),
            "needs the input 'cosine', the task fast offers ['logits', 'pred",
        ),
        (("space.am_lfs.branch=identity",), "has a branch 'identity', the task fast has ['classification']"),
        (("space.name=autoloss_zero",), "mode=lockstep needs a space with a distribution, and the space autoloss_zero has none"),
        (("comparison.handcrafted=()",), "lockstep.rate=rival needs a hand-crafted loss"),
        (
            ("lockstep.num_samples=64", "training.num_epochs=182.0"),
            "lockstep.longer=True trains one network lockstep.num_samples (64) times as long, and config key training.num_epochs "
            "must be at most 10000.0, not 11648.0: set it to False",
        ),
        (("training.loss_scale=unit_gradient",), "mode=lockstep trains every copy on with another loss"),
        (("search.num_trainings=5",), "it is read with mode=search, and this run has mode=lockstep"),
        (("mode=search", "lockstep.num_samples=5"), "it is read with mode=lockstep, and this run has mode=search"),
        (
            ("mode=search",),
            "inputs of the problem 'predictions' of the task fast, branch 'classification' lacks the array 'logits'",
        ),
        (("lockstep.rate_searches=3",), "it is read with lockstep.rate=searched, and this run has lockstep.rate=rival"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, capsys, overrides, says):
    assert launch.main(arguments_of(tmp_path / "run", *overrides)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert says in error
    assert not (tmp_path / "run").exists()
