"""The rows of a run's archive: what was proposed, and what was trained."""

import dataclasses
import functools
import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any, Self, get_args

from jaxloss.runs import json_text


def _text(value: Any) -> str:
    # str() would take anything, and keep how it prints.
    if not isinstance(value, str):
        raise TypeError(f"text was expected, not {value!r}")
    return str(value)


def _number(value: Any) -> float | None:
    # SQLite knows no NaN: it stores NULL.
    number = float(value)
    return None if math.isnan(number) else number


# The stage of a training that says no more than whether a network learns at all.
BASELINE = "baseline"
# That of the trainings by which the best losses of the searches are ranked.
RANK = "rank"
# That of the trainings by which the best loss is made shorter.
SHORTEN = "shorten"

# NumPy's and JAX's scalars would reach SQLite as raw bytes, hence a cast for every column.
_CAST = {int: operator.index, float: _number, str: _text, bool: bool, dict: dict}
_SQL_TYPE = {int: "INTEGER", float: "REAL", str: "TEXT", bool: "INTEGER", dict: "TEXT"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of one SQLite table; its columns are the fields, and `PRIMARY_KEY` the first of them."""

    TABLE = ""
    PRIMARY_KEY = ()
    INDEXED = ()

    def __post_init__(self) -> None:
        for name, (kind, optional) in self.columns().items():
            value = getattr(self, name)
            if value is not None or not optional:
                object.__setattr__(self, name, _CAST[kind](value))

    @classmethod
    @functools.cache
    def columns(cls) -> dict[str, tuple[type, bool]]:
        """Column name -> (Python type, whether None is allowed), in order."""
        kinds = {field.name: get_args(field.type) or (field.type,) for field in dataclasses.fields(cls)}
        return {name: (kind[0], len(kind) > 1) for name, kind in kinds.items()}

    @classmethod
    def schema(cls) -> list[str]:
        """The SQL statements that make the table and its indices."""
        columns = [
            f"{name} {_SQL_TYPE[kind]}" + ("" if optional else " NOT NULL") for name, (kind, optional) in cls.columns().items()
        ]
        table = f"CREATE TABLE {cls.TABLE} ({', '.join(columns)}, PRIMARY KEY ({', '.join(cls.PRIMARY_KEY)}))"
        return [table, *(f"CREATE INDEX {cls.TABLE}_{name} ON {cls.TABLE} ({name})" for name in cls.INDEXED)]

    def to_sql(self) -> list[Any]:
        """The values of the columns as SQLite stores them."""
        return [column_to_sql(getattr(self, name)) for name in self.columns()]

    @classmethod
    def from_sql(cls, records: Iterable[tuple]) -> list[Self]:
        """The rows of `SELECT *` records; the inverse of `to_sql`."""
        back = {bool: bool, dict: json_text.loads}
        names = list(cls.columns())
        converted = [(name, back[kind]) for name, (kind, _) in cls.columns().items() if kind in back]
        rows = []
        for record in records:
            # The values were cast when they were written: the casts of __post_init__ would double the time to read.
            row, values = object.__new__(cls), dict(zip(names, record, strict=True))
            for name, convert in converted:
                values[name] = convert(values[name])
            row.__dict__.update(values)
            rows.append(row)
        return rows


def column_to_sql(value: Any) -> Any:
    """A value as SQLite stores it: a dictionary as JSON with sorted keys, everything else as it is."""
    return json_text.dumps(dict(value)) if isinstance(value, Mapping) else value


WHOLE = "*"  # the branch of the row that stands for the whole candidate


@dataclasses.dataclass(frozen=True, kw_only=True)
class CandidateRow(Row):
    """One candidate that a search proposed and that came as far as a filter which leaves rows.

    Attributes:
      search: `evolution`, `random_search`, ..., of a run that searches more than once also `evolution 2`, ...
      proposal: index of the individual within the search.
      branch: loss branch that was drawn, or `*` for the row of the whole candidate.
      attempt: index of the draw of this branch; for the whole candidate the largest of its accepted ones.
      formula: the candidate as text that its space can parse.
      key: text that candidates share which are one loss written in two ways, see `core.form.Form.key`; `|` between branches.
      origin: `random`, `seed`, or what `Space.offspring` says: `copy`, `reinitialise`, `mutation`, ...; `|` between branches.
      parent: proposal index of its first parent, where it has one.
      reason: label of the `Reason` that stopped it, or `accepted`.
      gain: metric gain in the rejection protocol, the least of all branches; None for NaN, and where it did not come so far.
      signature: text of the gradient norms that name its equivalence class; ` | ` between branches, as in `sketch`.
      sketch: text of the signed sketch of its gradient.
      score: mean metric of its trainings on search_eval, or that of an equivalent candidate; None where there is none.
      training: whether it was trained itself.
      seconds: wall time of its trainings.
    """

    TABLE = "candidates"
    PRIMARY_KEY = ("search", "proposal", "branch", "attempt")
    INDEXED = ("reason",)

    search: str
    proposal: int
    branch: str
    attempt: int
    formula: str
    key: str
    origin: str
    parent: int | None = None
    reason: str
    gain: float | None = None
    signature: str | None = None
    sketch: str | None = None
    score: float | None = None
    training: bool = False
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRow(Row):
    """One training of one loss, scored on one division of the data.

    Attributes:
      stage: part of the run: the name of a search (`evolution`, `random_search`), `calibrate`, `baseline`, `rank`,
        `rank random_search`, `tune`, `test untuned`, `test tuned`, `shorten`, `ablation`, or `train`.
      loss: its formula, where it has one, else what it is called in tables.
      hyperparameters: name -> JSON value: the loss's hyperparameters; `proposal` alone in the stage of a search.
      learning_rate: the rate it was trained with.
      seed: seed of initialisation and data order.
      division: of the data, by its number.
      evaluated_on: `search_eval` or `test`.
      formula: the loss as text that its space can parse, where it has one.
      score: the metric; NaN and the infinities are kept as None, with `finite` False.
      scores: all scores of the task by name, the metric among them; empty where the training was stopped.
      finite: whether the training ended with finite values.
      steps: optimiser steps that were taken.
      seconds: wall time.
    """

    TABLE = "trainings"
    PRIMARY_KEY = ("stage", "loss", "hyperparameters", "learning_rate", "seed", "division", "evaluated_on")

    stage: str
    loss: str
    hyperparameters: dict
    learning_rate: float
    seed: int
    division: int
    evaluated_on: str
    formula: str | None = None
    score: float | None = None
    finite: bool = True
    steps: int
    seconds: float = 0.0
    scores: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            object.__setattr__(self, "score", None)
            object.__setattr__(self, "finite", False)
        super().__post_init__()
        # What is read back must equal what was written, also where arrays or tuples came in.
        for name in ("hyperparameters", "scores"):
            object.__setattr__(self, name, json_text.loads(json_text.dumps(getattr(self, name))))
