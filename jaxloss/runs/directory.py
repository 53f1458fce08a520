"""The directory of a run: what was asked for, what was tried, and what came out.

- `archive.sqlite`: candidates, trainings, search state, curves, and what was asked for: all other files can be made again, but
  for the values in `config_history.json` and the checkpoints
- `config.json`: what was asked for; `config_history.json`: the values that a resume has changed
- `checkpoints/`: networks, predictors, distributions
- `metrics.jsonl`, `tensorboard/`: numbers over time
- `summary.json`: what came out
- `run.lock`: who is writing
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Self

from jaxloss.core.errors import UserError
from jaxloss.core.files import unwritable
from jaxloss.runs import atomic, json_text
from jaxloss.runs.archive import Archive
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.runs.claim import BEGIN_ANEW, refuse_foreign_files
from jaxloss.runs.files import (
    ARCHIVE_FILE,
    CHECKPOINTS,
    CONFIG_FILE,
    HISTORY_FILE,
    LOCK_FILE,
    SUMMARY_FILE,
    has_summary,
    read_json,
)
from jaxloss.runs.lock import Lock, LockHeldError, holder_of
from jaxloss.runs.metrics import MetricWriter, read_metrics
from jaxloss.runs.stored_config import changes, flatten, is_of_another, store_config, stored_config


class Run:
    """A run that can be read, also while it is being written. Made by `open_for_reading`; a context manager.

    Attributes:
      path: the directory.
      config: what was asked for, nested dictionaries.
      archive: the archive.
      checkpoints: the checkpoints.
    """

    def __init__(self, path: Path, config: dict[str, Any], archive: Archive):
        self.path = path
        self.config = config
        self.archive = archive
        self.checkpoints = Checkpoints(path / CHECKPOINTS)

    def read_summary(self) -> dict[str, Any] | None:
        """What came out, or None where no summary was written yet. Raises `UserError` where the file is damaged."""
        remedy = "give the command of the run again, which makes it again from the archive"
        return read_json(self.path / SUMMARY_FILE, dict, remedy) if (self.path / SUMMARY_FILE).exists() else None

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` as dictionaries; see `metrics.read_metrics`."""
        return read_metrics(self.path)

    def close(self) -> None:
        """Closes every file; a second call does nothing."""
        self.archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_at_work(path: Path) -> bool:
    """Whether a process writes the run in `path` now, as far as this machine can tell."""
    return holder_of(path / LOCK_FILE) is not None


def open_for_reading(path: str | Path) -> Run:
    """Opens the run in `path` for reports and exports: nothing is locked, changed or made.

    Raises:
      UserError: there is no run in `path`, or its files cannot be read.
    """
    path = Path(path)
    try:
        found = [name for name in (CONFIG_FILE, ARCHIVE_FILE) if (path / name).is_file()]
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error
    if not found:
        raise UserError(f"'{path}' is not the directory of a run: it has neither {CONFIG_FILE} nor {ARCHIVE_FILE}")
    if ARCHIVE_FILE not in found:
        read_json(path / CONFIG_FILE, dict)  # one of another program is another mistake
    archive = Archive(path / ARCHIVE_FILE, read_only=True)
    try:
        return Run(path, stored_config(path, archive), archive)
    except BaseException:
        archive.close()
        raise


class RunDirectory(Run):
    """A run that is being written, by this process only. Made by `RunDirectory.open`; a context manager.

    Attributes:
      metrics: writer of numbers over time.
      resumed: whether the run was there before.
      remarks: lines about files that were missing or damaged, and are made again.
    """

    metrics: MetricWriter
    resumed: bool
    remarks: list[str]

    @classmethod
    def open(
        cls,
        path: str | Path,
        config: Mapping[str, Any],
        may_change: Collection[str] = (),
        upgrade: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
    ) -> Self:
        """Begins a run in `path`, or goes on with the one that is there.

        Args:
          path: the directory; it and its parents are made where they are missing.
          config: what is asked for: nested dictionaries of JSON values.
          may_change: dotted keys (`search.num_trainings`; `search` for all below it) that may differ from the stored
            config. The new values are stored, the old ones kept in `config_history.json`.
          upgrade: `(dotted key -> value) -> the same`, brings a config that an earlier version stored to the keys of today.

        Raises:
          UserError: the directory cannot be made or written, holds other files than a run's, is in use by another process, has
            lost its archive, or was begun with another config; the first differing key is named.
          TypeError: the config holds something that is no JSON.
        """
        given = json_text.loads(json_text.dumps(config))
        if not str(path).strip():
            raise UserError("the work directory has no name; give a --workdir")
        path = Path(path)
        with contextlib.ExitStack() as on_failure:
            try:
                path.mkdir(parents=True, exist_ok=True)
                refuse_foreign_files(path, given)
                lock = Lock(path / LOCK_FILE)
                on_failure.callback(lock.release)
                resumed = (path / CONFIG_FILE).exists() or (path / ARCHIVE_FILE).exists()
                atomic.remove_leftovers(path)
                Checkpoints(path / CHECKPOINTS).remove_leftovers()
                archive = _open_archive(path, given, may_change, upgrade)
                on_failure.callback(archive.close)
                remarks = [*store_config(path, archive, given), *_drop_damaged_summary(path)]
            except LockHeldError as holder:
                raise UserError(f"work directory '{path}' is in use by {holder}; wait for it, or use another --workdir") from None
            except OSError as error:
                if os.path.isfile(path):
                    raise UserError(f"cannot use work directory '{path}': it is a file; use another --workdir") from error
                raise unwritable(f"cannot use work directory '{path}'", error, "use another --workdir") from error
            run = cls(path, given, archive)
            run.metrics, run.resumed, run._lock = MetricWriter(path, archive.metrics()), resumed, lock
            if run.metrics.num_restored:
                remarks.append(f"{run.metrics.num_restored} lines that metrics.jsonl lacked are written again from the archive")
            run.remarks = remarks
            on_failure.pop_all()
        return run

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Replaces `summary.json`. Raises `UserError` where it cannot be written, `TypeError` where it is no JSON."""
        try:
            atomic.write_json(self.path / SUMMARY_FILE, summary)
        except OSError as error:
            raise unwritable(f"cannot write '{self.path / SUMMARY_FILE}'", error) from error

    def close(self) -> None:
        """Closes every file and gives the lock back; a second call does nothing."""
        self.metrics.close()
        super().close()
        self._lock.release()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """A run that was begun and failed before it had done anything leaves nothing: it would bar a corrected config."""
        in_vain = kind is not None and not self.resumed and not self.archive.has_begun()
        self.close()
        if in_vain:
            shutil.rmtree(self.path, ignore_errors=True)


def _open_archive(
    path: Path,
    given: dict[str, Any],
    may_change: Collection[str],
    upgrade: Callable[[dict[str, Any]], Mapping[str, Any]],
) -> Archive:
    """The archive of the run; what may change is written into the history.

    One that holds nothing bars no other config: what little is in it may not hold for this one, so that it is made anew.
    """
    archive = Archive(path / ARCHIVE_FILE)
    try:
        if archive.has_begun():
            stored = stored_config(path, archive)
            if changed := changes(path, dict(upgrade(flatten(stored))), flatten(given), may_change):
                # First the old values, then the new: a kill between the two loses neither.
                history = read_json(path / HISTORY_FILE, list) if (path / HISTORY_FILE).exists() else []
                atomic.write_json(path / HISTORY_FILE, [*history, *changed])
            return archive
        if (path / SUMMARY_FILE).exists():
            raise UserError(
                f"the {ARCHIVE_FILE} of the run in '{path}' holds nothing of what its {SUMMARY_FILE} came from: restore it, or "
                f"{BEGIN_ANEW}"
            )
        if not is_of_another(path, archive, given):
            return archive
    except BaseException:
        archive.close()
        raise
    archive.close()
    for name in (ARCHIVE_FILE, f"{ARCHIVE_FILE}-journal"):
        (path / name).unlink(missing_ok=True)
    return Archive(path / ARCHIVE_FILE)


def _drop_damaged_summary(path: Path) -> list[str]:
    """Removes a summary that cannot be read, so that it is made again; returns a line that says so."""
    if not (path / SUMMARY_FILE).exists() or has_summary(path):
        return []
    (path / SUMMARY_FILE).unlink()
    return [f"{SUMMARY_FILE} was damaged: it is made again from the archive"]
