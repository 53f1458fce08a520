"""The directory of a run: what was asked for, what was tried, and what came out.

- `config.json`: what was asked for; `config_history.json`: the values that a resume has changed
- `archive.sqlite`: candidates, trainings and search state
- `checkpoints/`: networks, predictors, distributions
- `metrics.jsonl`, `tensorboard/`: numbers over time
- `summary.json`: what came out
- `run.lock`: who is writing
"""

import contextlib
import datetime
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from jaxloss.core.errors import UserError
from jaxloss.runs import atomic, json_text
from jaxloss.runs.archive import Archive
from jaxloss.runs.checkpoints import Checkpoints
from jaxloss.runs.lock import Lock, LockHeldError
from jaxloss.runs.metrics import MetricWriter, read_metrics

_CONFIG = "config.json"
_HISTORY = "config_history.json"
_ARCHIVE = "archive.sqlite"
_SUMMARY = "summary.json"
_LOCK = "run.lock"


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
        self.checkpoints = Checkpoints(path / "checkpoints")

    def read_summary(self) -> dict[str, Any] | None:
        """What came out, or None where no summary was written yet. Raises `UserError` where the file is damaged."""
        return _read_json(self.path / _SUMMARY, dict) if (self.path / _SUMMARY).exists() else None

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


def open_for_reading(path: str | Path) -> Run:
    """Opens the run in `path` for reports and exports: nothing is locked, changed or made.

    Raises:
      UserError: there is no run in `path`, or its files cannot be read.
    """
    path = Path(path)
    try:
        found = (path / _CONFIG).is_file()
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error
    if not found:
        raise UserError(f"'{path}' is not the directory of a run: it has no {_CONFIG}")
    return Run(path, _read_json(path / _CONFIG, dict), Archive(path / _ARCHIVE, read_only=True))


class RunDirectory(Run):
    """A run that is being written, by this process only. Made by `RunDirectory.open`; a context manager.

    Attributes:
      metrics: writer of numbers over time.
      resumed: whether the run was there before.
    """

    metrics: MetricWriter
    resumed: bool

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
          UserError: the directory cannot be made or written, holds other files than a run's, is in use by another process,
            or was begun with another config; the first differing key is named.
          TypeError: the config holds something that is no JSON.
        """
        given = json_text.loads(json_text.dumps(config))
        if not str(path).strip():
            raise UserError("the work directory has no name; give a --workdir")
        path = Path(path)
        with contextlib.ExitStack() as on_failure:
            try:
                path.mkdir(parents=True, exist_ok=True)
                _refuse_foreign_files(path, given)
                lock = Lock(path / _LOCK)
                on_failure.callback(lock.release)
                resumed = (path / _CONFIG).exists()
                _remove_leftovers(path)
                stored = _begun_with(path)
                if stored is None:
                    _forget_another_config(path, given)
                    atomic.write_json(path / _CONFIG, given)
                elif changes := _changes(path, dict(upgrade(flatten(stored))), flatten(given), may_change):
                    _store_changes(path, given, changes)
            except LockHeldError as holder:
                raise UserError(f"work directory '{path}' is in use by {holder}; wait for it, or use another --workdir") from None
            except OSError as error:
                problem = "it is a file" if os.path.isfile(path) else error.strerror
                raise UserError(f"cannot use work directory '{path}': {problem}; use another --workdir") from error
            archive = Archive(path / _ARCHIVE)
            on_failure.callback(archive.close)
            run = cls(path, given, archive)
            run.metrics, run.resumed, run._lock = MetricWriter(path), resumed, lock
            on_failure.pop_all()
        return run

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Replaces `summary.json`. Raises `UserError` where it cannot be written, `TypeError` where it is no JSON."""
        try:
            atomic.write_json(self.path / _SUMMARY, summary)
        except OSError as error:
            raise UserError(f"cannot write '{self.path / _SUMMARY}': {error.strerror}") from error

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


def _refuse_foreign_files(path: Path, given: Mapping[str, Any]) -> None:
    """A directory without an archive is new: it must hold nothing but what a run leaves that was killed as it began.

    Many programs write a file `config.json`: one without an archive beside it is a run's if it has the sections of ours.
    """
    entries = {entry.name: entry for entry in path.iterdir()}
    if _ARCHIVE in entries and entries[_ARCHIVE].stat().st_size:
        return
    if _CONFIG in entries:
        missing = sorted(given.keys() - _read_json(path / _CONFIG, dict).keys())
        if missing:
            raise UserError(
                f"'{path / _CONFIG}' is not the config of a run: it has no key '{missing[0]}', and no {_ARCHIVE} is beside it; "
                "use an empty or new --workdir"
            )
        if _SUMMARY in entries:
            return
    # A kill inside the first transaction leaves an empty archive and its journal.
    own = (_CONFIG, _LOCK, _ARCHIVE, f"{_ARCHIVE}-journal")
    foreign = sorted(
        name for name, entry in entries.items() if name not in own and not entry.match(atomic.temporary_pattern(_CONFIG))
    )
    if foreign:
        listed = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise UserError(f"work directory '{path}' holds other files ({listed}) and no {_ARCHIVE}; use an empty or new --workdir")


def _remove_leftovers(path: Path) -> None:
    """Removes files that were not finished when a process was killed; the caller holds the lock."""
    for name in (_CONFIG, _HISTORY, _SUMMARY):
        for leftover in path.glob(atomic.temporary_pattern(name)):
            leftover.unlink()


def _begun_with(path: Path) -> dict[str, Any] | None:
    """The stored config; None where there is none, or the run has done nothing: that does not bar a corrected config."""
    stored = _read_json(path / _CONFIG, dict) if (path / _CONFIG).exists() else None
    return stored if stored is not None and _has_begun(path) else None


def _forget_another_config(path: Path, given: Mapping[str, Any]) -> None:
    """Removes the archive of a run that has not begun with its config: what little is in it may not hold for this one."""
    if (path / _CONFIG).exists() and _read_json(path / _CONFIG, dict) != given:
        for name in (_ARCHIVE, f"{_ARCHIVE}-journal"):
            (path / name).unlink(missing_ok=True)


def _store_changes(path: Path, given: dict[str, Any], changes: Sequence[Mapping[str, Any]]) -> None:
    """First the old values, then the new: a kill between the two loses neither."""
    history = _read_json(path / _HISTORY, list) if (path / _HISTORY).exists() else []
    atomic.write_json(path / _HISTORY, [*history, *changes])
    atomic.write_json(path / _CONFIG, given)


def _has_begun(path: Path) -> bool:
    """Whether the archive holds anything; a missing one is that of a run that was killed as it began."""
    if not (path / _ARCHIVE).exists():
        return (path / _SUMMARY).exists()
    with Archive(path / _ARCHIVE) as archive:
        return archive.has_begun()


def _changes(path: Path, stored: dict[str, Any], given: dict[str, Any], may_change: Collection[str]) -> list[dict[str, Any]]:
    """The keys that differ, as entries of the history; refuses the first one that must not."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    changes = []
    # The keys of the run as a whole first, its mode before all: others follow from them.
    for key in sorted(stored.keys() | given.keys(), key=lambda key: (key.count(".") > 0, key != "mode", key)):
        was, wanted = (_shown(values, key) for values in (stored, given))
        if was == wanted or any(other.startswith(f"{key}.") for other in (stored | given)):
            continue  # an empty dictionary beside a filled one, whose keys are what differs
        if not any(key == allowed or key.startswith(f"{allowed}.") for allowed in may_change):
            back = f"put back {key} = {was}" if key in stored else f"leave {key} out"
            raise UserError(
                f"this run was begun with {key} = {_short(was)}, not {_short(wanted)}, and it cannot change: "
                f"use another --workdir than '{path}', or {_short(back, 120)}"
            )
        changes.append({"time": now, "key": key, "was": stored.get(key), "now": given.get(key)})
    return changes


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one: dotted key -> value; lists and empty dictionaries are values."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        flat.update(flatten(value, f"{key}.") if isinstance(value, Mapping) and value else {key: value})
    return flat


def _shown(values: dict[str, Any], key: str) -> str:
    """A value as JSON text, in which NaN equals itself and 1 differs from true."""
    return json_text.dumps(values[key]) if key in values else "(not set)"


def _short(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 4] + " ..."


def _read_json(path: Path, kind: type) -> Any:
    """The content of a JSON file, which must be of the given kind."""
    try:
        content = json_text.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error
    except ValueError:
        content = None
    if not isinstance(content, kind):
        raise UserError(f"'{path}' is damaged; restore it, or use another directory")
    return content
