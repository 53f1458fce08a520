"""Runs a config, and gives what came out as tables and functions."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import ml_collections

from jaxloss.api.frames import COMPARISON, RANKING, frame_of_records, frame_of_rows
from jaxloss.api.losses import Loss, loss_of, loss_of_family
from jaxloss.cli.compilation_cache import use_compilation_cache
from jaxloss.cli.notebook import NotebookProgress, in_notebook
from jaxloss.cli.progress import ConsoleProgress
from jaxloss.config.check_run import check_run
from jaxloss.config.execution import follows, prepare_process
from jaxloss.config.given_task import like_the_run, with_given_task
from jaxloss.config.going_on import values_of_the_run, with_values_of_the_run
from jaxloss.config.plan import make_plan
from jaxloss.config.schema import MAY_CHANGE, upgraded
from jaxloss.config.stored import stored_space
from jaxloss.core.arguments import expect, expect_path, expect_whole_number
from jaxloss.core.devices import check_devices
from jaxloss.core.errors import UserError
from jaxloss.core.progress import Progress
from jaxloss.report.curves import curves_of
from jaxloss.report.notebook import results_html
from jaxloss.report.page import write_report
from jaxloss.report.searches import searches_of
from jaxloss.runs.claim import set_aside
from jaxloss.runs.directory import RunDirectory, open_for_reading
from jaxloss.runs.rows import WHOLE, CandidateRow, TrainingRow
from jaxloss.spaces.base import Space
from jaxloss.study.export import handcrafted, loss_in, ranking
from jaxloss.study.modes import run_experiment
from jaxloss.study.provenance import provenance
from jaxloss.tasks.base import STORED_MEANINGS, STORED_RANGES, Task

if TYPE_CHECKING:
    import pandas


class Results:
    """What a run holds, read anew at every call: also of one that is unfinished, or still at work.

    The tables are pandas DataFrames with a row for each record. What is nested stays a dictionary or a list in its cell:
    `pandas.json_normalize(frame["tuned"])` makes columns of it. A missing number is NaN in a column of floats, and `<NA>` in one
    of whole numbers, which stay whole (`Int64`); missing text is None. `isna()` finds each of them, and
    `frame.to_dict("records")` gives the records. Without a record there is a frame without a row, with its columns.
    """

    def __init__(self, workdir: str | Path, space: Space | None = None):
        """Args:
        workdir: directory of the run.
        space: of its losses; by default it is made from the run's config.

        Raises:
          UserError: there is no run in `workdir`.
        """
        expect_path("workdir", workdir, "the directory of a run")
        self.path = Path(workdir)
        self._space = space
        self.config  # noqa: B018 - a directory without a run is refused at once

    @property
    def config(self) -> dict[str, Any]:
        """What was asked for, nested."""
        with open_for_reading(self.path) as run:
            return run.config

    @property
    def summary(self) -> dict[str, Any] | None:
        """What came out, or None while the run is unfinished."""
        with open_for_reading(self.path) as run:
            return run.read_summary()

    def candidates(self) -> "pandas.DataFrame":
        """Everything that was proposed and came as far as the first compiled filter; columns: see `runs.rows.CandidateRow`."""
        with open_for_reading(self.path) as run:
            return frame_of_rows(CandidateRow, run.archive.candidates())

    def trainings(self) -> "pandas.DataFrame":
        """Every training; columns: see `runs.rows.TrainingRow`."""
        with open_for_reading(self.path) as run:
            return frame_of_rows(TrainingRow, run.archive.trainings())

    def comparison(self) -> "pandas.DataFrame":
        """The table of the comparison, a row for each loss; without a row while the run is unfinished.

        Columns: `name`, `kind`, `formula` (None of a hand-crafted loss), `untuned` and `tuned` (dictionaries: `learning_rate`,
        `hyperparameters`, `search_eval`, `test_mean`, `test_ci95`, ...), and behind them how the formula is written.
        """
        return frame_of_records((self.summary or {}).get("comparison", []), COMPARISON)

    def ranking(self) -> "pandas.DataFrame":
        """The losses of the run that have a formula, best first; of an unfinished search by their score in it.

        Columns: `rank`, from 1 as `loss` takes it, `formula`, `search_eval` (mean metric on fresh seeds), `search_score` (that of
        the search), and behind them what else the run knows.
        """
        with open_for_reading(self.path) as run:
            ranked = ranking(run)
        return frame_of_records([{**entry, "rank": rank} for rank, entry in enumerate(ranked, start=1)], RANKING)

    @property
    def space(self) -> Space:
        """Of the losses.

        Raises:
          UserError: it cannot be made any more.
        """
        if self._space is None:
            self._space = stored_space(self.path)
        return self._space

    def loss(self, rank: int = 1, name: str | None = None) -> Loss:
        """One of the losses of the run, as a function.

        Args:
          rank: 1 is the best.
          name: of a loss in the table of the comparison, or its formula, in place of a rank.

        Raises:
          UserError: for a loss that there is not.
        """
        expect_whole_number("rank", rank)
        with open_for_reading(self.path) as run:
            (entry, place), summary = loss_in(run, rank, name), run.read_summary()
            ranges, meanings = run.archive.state(STORED_RANGES), run.archive.state(STORED_MEANINGS) or {}
        if entry["formula"] is None:
            loss = loss_of_family(handcrafted(self.space, entry), entry["tuned"]["hyperparameters"], ranges, meanings)
        else:
            loss = loss_of(self.space, entry["formula"], ranges, meanings)
        found = provenance(self.space, self.path, place, entry, summary, meanings, loss.inputs)
        return dataclasses.replace(loss, found=found)

    @property
    def best(self) -> Loss:
        """The best loss, as a function."""
        return self.loss(1)

    def report(self) -> Path:
        """Writes the page of the run again, and returns where it is."""
        return write_report(self.path, self.space)

    def _repr_html_(self) -> str:
        """For notebooks."""
        with open_for_reading(self.path) as run:
            summary, (searches, controls) = run.read_summary(), searches_of(run)
            rows = {name: run.archive.candidates(search=name, branch=WHOLE) for name in searches | controls}
            curves = curves_of(run.config, rows, controls)
            return results_html(self.path, summary, [] if summary else ranking(run), curves)

    def __repr__(self) -> str:
        return f"Results('{self.path}', {'finished' if self.summary else 'unfinished'})"


def run(
    config: ml_collections.ConfigDict,
    workdir: str | Path,
    progress: Progress | None = None,
    command: str = "",
    restart: bool = False,
    task: Task | None = None,
) -> Results:
    """Carries a config out in a directory, or goes on where it was stopped; at the end the page `report.html` is there.

    Args:
      config: see `load_config` and `default_config`.
      workdir: directory of the run.
      progress: what is told while it works; by default a line on standard error, and in a notebook a bar.
      command: that repeats the run, for its page.
      restart: whether a run that is there is set aside, as `workdir` with `.1` behind it, and this one begins anew.
      task: in place of the one that the config names, see `make_task`; going on takes the same arrays, network and metric.

    Raises:
      UserError: for a mistake in the config, absent data, parts that do not fit together, a directory that cannot be used, and
        a run that was begun with another task than the one that is given.
    """
    expect("config", config, ml_collections.ConfigDict, "a config, see jaxloss.load_config and jaxloss.default_config")
    expect_path("workdir", workdir, "the directory of the run")
    if task is not None:
        expect("task", task, Task, "a task, see jaxloss.make_task")
        config = with_given_task(config, task)
    check_run(config)
    if task is not None:
        config = like_the_run(config, workdir)
    prepare_process(config)
    if follows(config):
        raise UserError(
            f"process {jax.process_index()} of several only follows process 0: start each with python -m jaxloss.launch, "
            "in place of run"
        )
    check_devices()
    use_compilation_cache(config.compilation_cache)
    progress = progress or (NotebookProgress if in_notebook() else ConsoleProgress)(quiet=config.quiet)
    of_run = {} if restart else values_of_the_run(config, workdir)
    plan = make_plan(with_values_of_the_run(config, of_run), task, of_run)
    if restart and (aside := set_aside(workdir)):
        progress.message(f"the run that was in {workdir} is in {aside} now")
    with RunDirectory.open(workdir, plan.config.to_dict(), MAY_CHANGE, upgraded) as directory:
        if directory.resumed:
            progress.message(f"going on in {workdir}")
        for remark in directory.remarks:
            progress.message(remark)
        run_experiment(plan, directory, progress, command)
        write_report(workdir, plan.space)
    return Results(workdir, plan.space)


def open_run(workdir: str | Path) -> Results:
    """The results of a run that is finished, unfinished or still at work.

    Raises:
      UserError: there is no run in `workdir`.
    """
    return Results(workdir)


def load_loss(workdir: str | Path, rank: int = 1, name: str | None = None) -> Loss:
    """A loss of a run, as a function of arrays.

    Args:
      workdir: directory of the run.
      rank: 1 is the best.
      name: in place of a rank, see `Results.loss`.

    Raises:
      UserError: there is no run in `workdir`, or no such loss.
    """
    return open_run(workdir).loss(rank, name)
