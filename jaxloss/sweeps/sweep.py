"""A sweep as the command carries it out: what is checked, run and shown, one after the other."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloss.config.check import serves_mode
from jaxloss.config.file import load_config, load_sweep
from jaxloss.core.errors import UserError
from jaxloss.core.files import unwritable
from jaxloss.execution.cluster import connect
from jaxloss.execution.settings import LOCAL, RAY
from jaxloss.runs import atomic
from jaxloss.runs.files import has_summary
from jaxloss.study.settings import COMPARE
from jaxloss.sweeps.on_cluster import on_cluster
from jaxloss.sweeps.page import write_page
from jaxloss.sweeps.points import Point, chosen_points, points_of
from jaxloss.sweeps.rows import Row, row_of
from jaxloss.sweeps.table import as_csv, print_rows
from jaxloss.sweeps.transfer import is_compared, transfer_matrix, transfer_points
from jaxloss.sweeps.work import here, work

CSV = "sweep.csv"
# Overrides that say how losses are searched for mean nothing to a comparison of given ones.
_OF_SEARCHES = ("search.", "filters.")


def _has_summary(workdir: Path, point: Point) -> bool:
    return has_summary(workdir / point.name)


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The runs of one config file in one folder.

    Attributes:
      path: of the config file.
      workdir: folder of the runs.
      parallel: how many run at a time.
      overrides: dotted key -> text, of all runs.
      message: is told what begins and ends.
      executor: where: `local` or `ray`.
      address: of the Ray cluster, see `execution.cluster.connect`.
      is_finished: `(workdir, point)`: whether nothing is left to do for it.
    """

    path: str
    workdir: Path
    parallel: int
    overrides: Mapping[str, str]
    message: Callable[[str], None]
    executor: str = LOCAL
    address: str = ""
    is_finished: Callable[[Path, Point], bool] = _has_summary

    def points(self, where: Mapping[str, str]) -> list[Point]:
        """The points of the file that have these values.

        Raises:
          UserError: see `load_sweep`, `points_of` and `chosen_points`.
        """
        return chosen_points(points_of(load_sweep(self.path)), where)

    def run(self, points: Sequence[Point]) -> dict[str, str]:
        """Runs what is not finished; name of each point that failed -> why.

        Raises:
          UserError: for a contradiction in any of them, before the first one begins, for an override of what the points set, for
            a folder that cannot be made, and a cluster that cannot be reached.
          KeyboardInterrupt: see `work`.
        """
        if both := sorted(self.overrides.keys() & {key for point in points for key in point.overrides}):
            raise UserError(f"--config.{both[0]} would do nothing: get_sweep() sets {both[0]}; choose points of it with --where")
        for point in points:
            try:
                load_config(self.path, {**self.overrides, **point.overrides})
            except UserError as error:
                raise UserError(f"{point.name}: {error}") from error
        left = [point for point in points if not self.is_finished(self.workdir, point)]
        try:
            for point in left:
                (self.workdir / point.name).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(f"cannot use work directory '{self.workdir}'", error, "use another --workdir") from error
        if self.executor != RAY:
            return work(left, self._command, self.workdir, self.parallel, self.message, here(self.parallel))
        with contextlib.closing(connect(self.address, self.parallel)) as cluster:
            return work(left, self._command, self.workdir, self.parallel, self.message, on_cluster(cluster))

    def compare(self, points: Sequence[Point], rows: Sequence[Row]) -> tuple["Sweep", list[Point]]:
        """The sweep that compares all losses that were found on all tasks, and its points; it grows with what is found."""
        across = transfer_points(points, rows)
        own = {key for point in across for key in point.overrides}
        kept = {
            key: value
            for key, value in self.overrides.items()
            if key not in own and serves_mode(key, COMPARE) and not key.startswith(_OF_SEARCHES)
        }
        return dataclasses.replace(self, overrides=kept, is_finished=is_compared), across

    def rows(self, points: Sequence[Point]) -> list[Row]:
        """What has come out so far."""
        return [row_of(point, self.workdir) for point in points]

    def show(self, rows: Sequence[Row], across: Sequence[Point], command: str) -> Path:
        """Prints the table, writes the page and the CSV, and returns where the page is.

        Args:
          rows: of the runs.
          across: points of the comparison on all tasks; none for no matrix.
          command: that repeats the sweep.
        """
        matrix: Mapping[str, Any] | None = transfer_matrix(across, rows, self.workdir) if across else None
        print_rows(rows)
        self.workdir.mkdir(parents=True, exist_ok=True)
        atomic.write_text(self.workdir / CSV, as_csv(rows))
        return write_page(self.workdir, self.workdir.name, rows, matrix, command)

    def _command(self, point: Point) -> list[str]:
        keys = [f"--config.{key}={value}" for key, value in {**self.overrides, **point.overrides}.items()]
        where = [f"--config={self.path}", f"--workdir={self.workdir / point.name}"]
        return [sys.executable, "-m", "jaxloss.launch", *where, *keys]
