"""Everything that a run ever tried, in one SQLite file.

Rows and search state are written in one transaction, so they cannot disagree. A committed transaction survives kill -9
and, as far as the disk keeps its word, a power cut. The rollback journal is used instead of the write-ahead log: it
works on network file systems, and the one file may be copied at any time when the run is not writing.

A file of an earlier format is read as it is; its first commit brings it to the format of today, in the same transaction.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from jaxloss.core.errors import UserError
from jaxloss.runs import json_text
from jaxloss.runs.archive_errors import user_errors
from jaxloss.runs.rows import BASELINE, WHOLE, CandidateRow, Row, TrainingRow, column_to_sql

# Says in the file's header whose it is, and in which form: a change of the tables needs the next number.
_APPLICATION_ID = int.from_bytes(b"jxls", "big")
_FORMAT = 4
# Of the earlier formats that can be read and upgraded: column of today -> what it was called. Columns have kept their places.
_FORMER_NAMES: Mapping[int, Mapping[str, str]] = {2: {"division": "split"}, 3: {}}
# Those before format 4 hold no metrics, which only the file `metrics.jsonl` had.
_METRICS = "CREATE TABLE metrics (step INTEGER PRIMARY KEY, json TEXT NOT NULL)"

# The state that holds the config that was asked for, as nested dictionaries.
CONFIG = "config"
# The state that holds the wall time of a run over all its starts: `{'seconds': number}`.
CLOCK = "clock"

_BUSY_SECONDS = 60.0
# Rows that are fetched at a time, where there may be very many.
_PAGE = 10_000


class Archive:
    """The rows and the search state of a run. Use it as a context manager, or `close` it.

    One process writes; any number may read at the same time.

    Attributes:
      path: of the file.
      every_commit: called in every `commit`; the states that it returns (name -> JSON value) are committed too.
    """

    def __init__(self, path: Path, read_only: bool = False):
        """Opens the archive at `path`, or makes it where it is missing and `read_only` is False.

        Raises:
          UserError: the file is missing, damaged, no archive, of another version, or cannot be opened.
        """
        self.path = Path(path)
        self.every_commit: Callable[[], Mapping[str, Any]] = dict
        if read_only and not self.path.is_file():
            raise UserError(f"there is no archive '{self.path}'")
        mode = "rw" if read_only else "rwc"
        with user_errors(self.path):
            self._connection = sqlite3.connect(
                f"file:{quote(str(self.path.absolute()))}?mode={mode}", uri=True, isolation_level=None, timeout=_BUSY_SECONDS
            )
        try:
            with user_errors(self.path):
                self._check(read_only)
                self._connection.execute("PRAGMA synchronous = FULL")
                # Not mode=ro above: a reader must be able to roll back what a killed writer left half done.
                self._connection.execute(f"PRAGMA query_only = {int(read_only)}")
        except BaseException:
            self.close()
            raise

    def commit(
        self,
        candidates: Iterable[CandidateRow] = (),
        trainings: Iterable[TrainingRow] = (),
        state: Mapping[str, Any] | None = None,
        metrics: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Adds rows and lines and replaces the named states, all or nothing; it is on disk when this returns.

        Args:
          candidates: new rows.
          trainings: new rows.
          state: name -> anything that `json_text.dumps` can write; names that are not given stay as they are.
          metrics: lines of the curves, see `metrics.metric_line`; a step that is there stays as it is.

        Raises:
          sqlite3.IntegrityError: a row's primary key is taken.
          TypeError: a state cannot be written as JSON.
          UserError: the disk is full, or the file was damaged.
        """
        additions = [(CandidateRow, [row.to_sql() for row in candidates]), (TrainingRow, [row.to_sql() for row in trainings])]
        given = {**self.every_commit(), **(state or {})}
        states = [(name, json_text.dumps(value, sort_keys=False)) for name, value in given.items()]
        lines = [(line["step"], json_text.dumps(line, sort_keys=False)) for line in metrics]
        with user_errors(self.path), self._transaction():
            self._upgrade()
            for kind, records in additions:
                places = ", ".join("?" * len(kind.columns()))
                self._connection.executemany(f"INSERT INTO {kind.TABLE} VALUES ({places})", records)
            self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", states)
            self._connection.executemany("INSERT OR IGNORE INTO metrics VALUES (?, ?)", lines)

    def candidates(self, search: str | None = None, reason: str | None = None, branch: str | None = None) -> list[CandidateRow]:
        """The candidates of one search, reason and branch, or of all, in the order in which they were committed."""
        return self._select(CandidateRow, search=search, reason=reason, branch=branch)

    def stopped(self, search: str) -> Iterator[tuple[str, str, str | None]]:
        """Branch, reason and sketch of the draws that a search stored on the way to whole candidates, in order.

        There may be millions of them, of which no more is kept in memory than a few thousand at a time.
        """
        statement = (
            "SELECT rowid, branch, reason, sketch FROM candidates WHERE rowid > ? AND +search = ? AND branch != ? "
            "ORDER BY rowid LIMIT ?"
        )
        last = -1
        while True:
            with user_errors(self.path):
                found = self._connection.execute(statement, (last, search, WHOLE, _PAGE)).fetchall()
            yield from (row[1:] for row in found)
            if len(found) < _PAGE:
                return
            last = found[-1][0]

    def trainings(self, stage: str | None = None) -> list[TrainingRow]:
        """The trainings of one stage, or of all, in the order in which they were committed."""
        return self._select(TrainingRow, stage=stage)

    def find_training(
        self,
        stage: str,
        loss: str,
        hyperparameters: Mapping[str, Any],
        learning_rate: float,
        seed: int,
        division: int,
        evaluated_on: str,
    ) -> TrainingRow | None:
        """The training with exactly these values, or None where it was not committed."""
        wanted = TrainingRow(
            stage=stage,
            loss=loss,
            hyperparameters=dict(hyperparameters),
            learning_rate=learning_rate,
            seed=seed,
            division=division,
            evaluated_on=evaluated_on,
            steps=0,
        )
        found = self._select(TrainingRow, **{name: getattr(wanted, name) for name in TrainingRow.PRIMARY_KEY})
        return found[0] if found else None

    def has_begun(self) -> bool:
        """Whether anything was done that another config would contradict: more than a look at whether a network learns."""
        return self._exists(CandidateRow) or self._exists(TrainingRow, f"stage != '{BASELINE}'")

    def is_empty(self) -> bool:
        """Whether there are no rows."""
        return not (self._exists(CandidateRow) or self._exists(TrainingRow))

    def state(self, name: str, default: Any = None) -> Any:
        """The state that was last committed under `name`, or `default`; tuples come back as lists."""
        with user_errors(self.path):
            found = self._connection.execute("SELECT json FROM state WHERE name = ?", (name,)).fetchone()
        return json_text.loads(found[0]) if found else default

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of the curves, by their step; none of what was written by a version whose archive held no metrics."""
        with user_errors(self.path):
            if self._format() < _FORMAT:
                return []
            found = self._connection.execute("SELECT json FROM metrics ORDER BY step").fetchall()
        return [json_text.loads(text) for (text,) in found]

    def comparable(self, ignore: Collection[str] = ("seconds",)) -> dict[str, Any]:
        """All rows and states, ordered by primary key, without the columns and state keys named in `ignore`.

        Two runs did the same if and only if `json_text.dumps` of this is the same. What was asked for (`CONFIG`) is no part of
        it, and neither are the curves, which follow from the rows.
        """
        rows = {"candidates": self.candidates(), "trainings": self.trainings()}
        with user_errors(self.path):
            states = self._connection.execute("SELECT name, json FROM state WHERE name != ? ORDER BY name", (CONFIG,)).fetchall()
        content: dict[str, Any] = {name: [vars(row) for row in sorted(found, key=_primary_key)] for name, found in rows.items()}
        content["state"] = {name: json_text.loads(text) for name, text in states}
        return _without(content, frozenset(ignore))

    def content_digest(self, ignore: Collection[str] = ("seconds",)) -> str:
        """SHA-256, in hexadecimal, of `comparable(ignore)`."""
        return hashlib.sha256(json_text.dumps(self.comparable(ignore)).encode()).hexdigest()

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, read_only: bool) -> None:
        """Makes the tables of a new file; refuses what is not ours, of another version, or damaged."""

        empty = self._pragma("schema_version") == 0
        if empty and read_only:
            raise UserError(f"archive '{self.path}' is empty: nothing is stored in it; give the command of the run again")
        if empty:
            with self._transaction():
                for statement in (*CandidateRow.schema(), *TrainingRow.schema()):
                    self._connection.execute(statement)
                self._connection.execute("CREATE TABLE state (name TEXT PRIMARY KEY, json TEXT NOT NULL)")
                self._connection.execute(_METRICS)
                self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {_FORMAT}")
        elif self._pragma("application_id") != _APPLICATION_ID:
            raise UserError(f"'{self.path}' is no archive of jaxloss; use another directory")
        elif (found := self._format()) not in (_FORMAT, *_FORMER_NAMES):
            raise UserError(
                f"archive '{self.path}' has format {found}, this jaxloss writes format {_FORMAT}; "
                "use another directory, or the jaxloss that wrote it"
            )
        damage = self._pragma("quick_check(1)")
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)

    def _pragma(self, name: str) -> Any:
        return self._connection.execute(f"PRAGMA {name}").fetchone()[0]

    def _format(self) -> int:
        """Of the file as it is now: another process may upgrade it at any time."""
        return self._pragma("user_version")

    def _former_names(self) -> Mapping[str, str]:
        """Column of today -> what it is called in the file, where that differs."""
        return _FORMER_NAMES.get(self._format(), {})

    def _upgrade(self) -> None:
        """Brings a file of an earlier format to that of today; inside of a transaction."""
        if self._format() == _FORMAT:
            return
        former_names = self._former_names()
        for kind in (CandidateRow, TrainingRow):
            for name in kind.columns() & former_names.keys():
                self._connection.execute(f"ALTER TABLE {kind.TABLE} RENAME COLUMN {former_names[name]} TO {name}")
        self._connection.execute(_METRICS)
        self._connection.execute(f"PRAGMA user_version = {_FORMAT}")

    def _select(self, kind: type[Row], **wanted: Any) -> list:
        """The rows whose columns have the wanted values; None asks for nothing."""
        conditions = {name: column_to_sql(value) for name, value in wanted.items() if value is not None}
        with user_errors(self.path):
            former_names = self._former_names()
            where = " AND ".join(f"{former_names.get(name, name)} = ?" for name in conditions) or "TRUE"
            found = self._connection.execute(f"SELECT * FROM {kind.TABLE} WHERE {where} ORDER BY rowid", [*conditions.values()])
            return kind.from_sql(found.fetchall())

    def _exists(self, kind: type[Row], condition: str = "TRUE") -> bool:
        with user_errors(self.path):
            return bool(self._connection.execute(f"SELECT EXISTS (SELECT 1 FROM {kind.TABLE} WHERE {condition})").fetchone()[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # After some errors, a full disk for one, SQLite has rolled back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _primary_key(row: Row) -> tuple:
    return tuple(column_to_sql(getattr(row, name)) for name in row.PRIMARY_KEY)


def _without(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(inner, names) for name, inner in value.items() if name not in names}
    return [_without(inner, names) for inner in value] if isinstance(value, list) else value
