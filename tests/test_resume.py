"""A run that is stopped at any moment goes on, and ends as an undisturbed one."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxloss import launch
from jaxloss.runs import Archive, open_for_reading
from tests.short_comparison import SHORT_COMPARISON
from tests.workshop import TINY, Stopped, StopsAfter, Workshop

REPOSITORY = Path(__file__).parents[1]


# --- inside one process: every point at which a search may stop --------------------------------------------------------------


class LongestFormula:
    """A chooser: after three trainings, the longest of four formulas; later on the longest that begins as the best so far."""

    def candidates(self, num_evaluated):
        return 4 if num_evaluated >= 3 else 1

    def choose(self, evaluated, candidates):
        best = max(evaluated, key=lambda one: (one.fitness, -one.number)).text
        return max(range(len(candidates)), key=lambda index: (candidates[index][:3] == best[:3], len(candidates[index])))


@pytest.fixture(scope="module")
def workshop():
    workshop = Workshop()
    yield workshop
    workshop.execution.close()


@pytest.mark.parametrize(
    ("generation_size", "seeds", "chooser"), [(1, 1, None), (4, 1, None), (3, 2, None), (2, 1, LongestFormula())]
)
def test_a_search_that_stops_after_any_training_ends_the_same(workshop, tmp_path, generation_size, seeds, chooser):
    changes = {"num_trainings": 8, "generation_size": generation_size, "seeds_per_candidate": seeds, "chooser": chooser}
    expected = workshop.finished(tmp_path / "whole", **changes)
    assert len(expected["trainings"]) == 8
    for count in range(8) if generation_size > 1 else (0, 3, 7):
        path = tmp_path / f"stopped {count}"
        with Archive(path) as archive, pytest.raises(Stopped):
            workshop.loop(archive, StopsAfter(workshop.execution, count), **changes).run()
        assert workshop.finished(path, **changes) == expected


@pytest.mark.parametrize("generation_size", [1, 4])
def test_a_larger_budget_goes_on_as_if_it_had_been_there(workshop, tmp_path, generation_size):
    """Also where the first budget ended inside a generation."""
    size = {"generation_size": generation_size}
    expected = workshop.finished(tmp_path / "whole", num_trainings=11, **size)
    for first in (1, 3, 6):
        path = tmp_path / f"extended {first}"
        with Archive(path) as archive:
            workshop.loop(archive, num_trainings=first, **size).run()
            assert len(archive.trainings()) == first
        assert workshop.finished(path, num_trainings=11, **size) == expected


def test_a_chooser_passes_over_all_but_one_of_each_round(workshop, tmp_path):
    """What it passes over has a row and no score, is no parent, and is not trained; known losses do not compete."""
    with Archive(tmp_path / "archive") as archive:
        loop = workshop.loop(archive, num_trainings=9, generation_size=2, chooser=LongestFormula())
        loop.run()
        rows = [row for row in archive.candidates() if row.branch == "*"]
        again = workshop.loop(archive, num_trainings=9, generation_size=2, chooser=LongestFormula())
    passed_over = [row for row in rows if row.reason == "not_promising"]
    assert len(passed_over) == loop.counts.rejected["not_promising"] > 3
    assert all(row.score is None and not row.training for row in passed_over)
    assert sum(row.training for row in rows) == 9
    numbers = {row.proposal for row in passed_over}
    assert not numbers & {one.number for one in loop.search.population}
    assert not numbers & {row.parent for row in rows}
    assert again.search.individuals == loop.search.individuals
    assert again.search.population == loop.search.population
    # Rounds of four: between two trainings there are three others, passed over or known.
    trained = [index for index, row in enumerate(rows) if row.training][4:]
    others = {row.reason for row in rows[trained[0] :] if not row.training}
    assert others == {"not_promising", "equivalent_to_trained"}
    assert len(rows[trained[0] :]) >= 2 * len(trained)


def test_what_is_remembered_can_be_read_from_the_archive(workshop, tmp_path):
    with Archive(tmp_path / "archive") as archive:
        loop = workshop.loop(archive, num_trainings=10, generation_size=3)
        loop.run()
        again = workshop.loop(archive, num_trainings=10, generation_size=3)
    assert loop.memory.num_rejected
    assert again.memory == loop.memory
    assert again.search.individuals == loop.search.individuals
    assert list(again.search.best()) == list(loop.search.best())
    assert again.counts == loop.counts
    assert again.pending == loop.pending


def test_counts_agree_with_the_rows(workshop, tmp_path):
    """Every draw is counted once, and every training has its row."""
    with Archive(tmp_path / "archive") as archive:
        loop = workshop.loop(archive, num_trainings=12, generation_size=2)
        loop.run()
        rows, trainings = archive.candidates(), archive.trainings()
    counts, whole = loop.counts, [row for row in rows if row.branch == "*"]
    assert counts.trained == len(trainings) == sum(row.training for row in whole) == 12
    assert counts.equivalent == sum(row.reason == "equivalent_to_trained" for row in whole)
    assert counts.proposed == sum(counts.rejected.values()) + len(whole)
    assert [row.proposal for row in whole] == list(range(len(whole)))
    scores = {row.signature: row.score for row in whole if row.training}
    assert len(scores) == 12
    assert all(row.score == scores[row.signature] for row in whole)


# --- real processes ----------------------------------------------------------------------------------------------------------


def arguments_of(workdir, overrides):
    return [f"--config={TINY}", f"--workdir={workdir}", *(f"--config.{override}" for override in overrides)]


def start(workdir, *overrides):
    command = [sys.executable, "-m", "jaxloss.launch", *arguments_of(workdir, overrides)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def rows_of(workdir):
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(workdir / "archive.sqlite", timeout=0.2)) as file:
        return sum(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("candidates", "trainings"))
    return 0


def wait_for_rows(process, workdir, count):
    """Until the archive holds so many rows, or the process has ended."""
    while process.poll() is None and not ((workdir / "archive.sqlite").exists() and rows_of(workdir) >= count):
        time.sleep(0.002)


def content(workdir):
    """What a run ends with, the clock aside."""
    with open_for_reading(workdir) as run:
        summary = run.read_summary()
        for clock in ("seconds", "compilations", "command"):
            summary.pop(clock)
        return run.archive.comparable(), summary, run.read_metrics()[-1]["score"]


def kill_and_restart(tmp_path, kills, seed, *overrides):
    """Kills a command so often, at random moments over all its stages, and lets it finish at last.

    Returns the contents of an undisturbed run and of this one.
    """
    generator = random.Random(seed)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert launch.main(arguments_of(whole, overrides)) == 0
    expected = content(whole)
    total = rows_of(whole)
    killed = 0
    for number in range(kills):
        process = start(broken, *overrides)
        if number or kills == 1:
            wait_for_rows(process, broken, total * (number + generator.random()) / kills - 1)
        time.sleep(generator.uniform(0, 0.15 if number or kills == 1 else 2.0))
        killed += process.poll() is None
        process.kill()
        process.communicate()
    assert killed >= kills - 1
    with open_for_reading(broken) as run:
        earlier = run.archive.state("clock")["seconds"]
    assert launch.main(arguments_of(broken, overrides)) == 0
    found = content(broken)
    with open_for_reading(broken) as run:
        # The time of the starts that were killed is in the total.
        assert run.read_summary()["seconds"]["total"] >= earlier > 0
    shutil.rmtree(broken)
    return expected, found


def test_a_kill_changes_nothing(tmp_path):
    small = ("search.control=false", "comparison.handcrafted=()", "search.num_trainings=3", "filters.rejection.enabled=false")
    short = (f"{key}={value}" for key, value in SHORT_COMPARISON.items())
    undisturbed, killed = kill_and_restart(tmp_path, 1, 0, *small, *short)
    assert killed == undisturbed


@pytest.mark.slow
def test_two_kills_change_nothing_for_a_population(tmp_path):
    """Three lanes: a generation of four fills them, and one again."""
    population = ("execution.mode=vmap", "execution.lanes=3", "search.generation_size=4")
    small = ("search.control=false", "comparison.handcrafted=()")
    undisturbed, killed = kill_and_restart(tmp_path, 2, 1, *small, *population)
    assert killed == undisturbed


@pytest.mark.slow
def test_a_dozen_kills_change_nothing(tmp_path):
    undisturbed, killed = kill_and_restart(tmp_path, 12, 1)
    assert killed == undisturbed


def test_control_c_says_how_to_go_on_and_a_second_process_is_refused(tmp_path, capsys):
    workdir = tmp_path / "run"
    endless = ("search.num_trainings=100000", "search.generation_size=2", "filters.rejection.enabled=false")
    process = start(workdir, *endless)
    wait_for_rows(process, workdir, 3)
    assert launch.main(arguments_of(workdir, endless)) == 2
    assert f"work directory '{workdir}' is in use by process {process.pid}" in capsys.readouterr().err
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "To go on: python -m jaxloss.launch --config=" in error
    assert "Traceback" not in error
    with open_for_reading(workdir) as run:
        assert run.archive.trainings()
