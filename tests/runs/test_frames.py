"""The tables of a run as pandas DataFrames: every record a row, whole numbers whole, the columns also where there is no row."""

import dataclasses
import subprocess
import sys

import numpy as np
import pandas
import pytest

import jaxloss
from jaxloss.runs import CandidateRow, RunDirectory, TrainingRow
from tests.runs.contents import CONFIG, candidate, training

CANDIDATES = [candidate(0), candidate(1, parent=0, score=None, gain=None, training=False, signature=None)]
TRAININGS = [training(), training(seed=4, score=np.nan, formula="Neg(y)", scores={})]


def results_of(path, rows=(), trainings=(), summary=None):
    with RunDirectory.open(path, CONFIG) as run:
        run.archive.commit(list(rows), list(trainings))
        if summary is not None:
            run.write_summary(summary)
    return jaxloss.open_run(path)


def records_of(frame):
    """The records of a frame, None for what is missing in them."""
    return [
        {name: None if pandas.api.types.is_scalar(value) and pandas.isna(value) else value for name, value in record.items()}
        for record in frame.to_dict("records")
    ]


def test_rows_of_the_archive_are_rows_of_a_frame(tmp_path):
    results = results_of(tmp_path / "run", CANDIDATES, TRAININGS)
    for frame, rows in ((results.candidates(), CANDIDATES), (results.trainings(), TRAININGS)):
        assert records_of(frame) == [dataclasses.asdict(row) for row in rows]


def test_a_missing_number_makes_no_floats_of_whole_ones(tmp_path):
    candidates = results_of(tmp_path / "run", CANDIDATES).candidates()
    kinds = {name: str(kind) for name, kind in candidates.dtypes.items()}
    assert {name: kinds[name] for name in ("proposal", "parent", "score", "gain", "training", "seconds")} == {
        "proposal": "int64",
        "parent": "Int64",
        "score": "float64",
        "gain": "float64",
        "training": "bool",
        "seconds": "float64",
    }
    assert candidates["parent"].isna().tolist() == [True, False]
    assert candidates["parent"][1] == 0
    assert candidates["signature"][1] is None
    assert candidates.query("training")["proposal"].tolist() == [0]
    assert np.isnan(candidates["score"][1])


@pytest.mark.parametrize("table", ["candidates", "trainings"])
def test_without_a_row_the_columns_and_their_types_are_the_same(tmp_path, table):
    empty = getattr(results_of(tmp_path / "empty"), table)()
    filled = getattr(results_of(tmp_path / "filled", CANDIDATES, TRAININGS), table)()
    kind = {"candidates": CandidateRow, "trainings": TrainingRow}[table]
    assert (len(empty), list(empty)) == (0, list(kind.columns()))
    assert empty.dtypes.tolist() == filled.dtypes.tolist()
    assert list(empty) == list(filled)


def test_what_a_run_compared_and_ranked(tmp_path):
    tuned = {"learning_rate": 0.1, "search_eval": None, "test_mean": 0.5, "scores": [[0, 1, 0.5]]}
    rows = [
        {"name": "found 1", "kind": "found", "formula": "Neg(y)", "tuned": tuned, "untuned": tuned, "merged": 3},
        {"name": "gce", "kind": "handcrafted", "formula": None, "tuned": tuned, "untuned": tuned},
    ]
    ranked = [{"rank": 1, "formula": "Neg(y)", "search_eval": 0.5}, {"rank": 2, "formula": "Abs(y)", "search_eval": None}]
    results = results_of(tmp_path / "run", summary={"comparison": rows, "ranking": ranked})
    comparison, ranking = results.comparison(), results.ranking()
    assert comparison["tuned"].tolist() == [tuned, tuned]
    assert pandas.json_normalize(comparison["tuned"])["test_mean"].tolist() == [0.5, 0.5]
    assert (str(comparison["merged"].dtype), comparison["merged"][0], comparison["formula"][1]) == ("Int64", 3, None)
    assert ranking[["rank", "formula"]].values.tolist() == [[1, "Neg(y)"], [2, "Abs(y)"]]
    assert [str(ranking[name].dtype) for name in ("rank", "search_eval", "search_score")] == ["int64", "float64", "float64"]


def test_an_unfinished_run_is_ranked_by_its_search_and_compares_nothing(tmp_path):
    other = candidate(2, score=0.9, formula="Neg(y)")
    results = results_of(tmp_path / "run", [*CANDIDATES, other])
    assert results.ranking()[["rank", "formula", "search_score"]].values.tolist() == [[1, "Neg(y)", 0.9], [2, "Add(y, 0)", 1 / 3]]
    assert (len(results.comparison()), list(results.comparison())) == (0, ["name", "kind", "formula", "untuned", "tuned"])
    empty = results_of(tmp_path / "empty").ranking()
    assert (len(empty), list(empty)) == (0, ["rank", "formula", "search_eval", "search_score"])


def test_pandas_comes_with_the_first_frame(tmp_path):
    results_of(tmp_path / "run", CANDIDATES)
    code = (
        f"import sys, jaxloss; results = jaxloss.open_run({str(tmp_path / 'run')!r}); results.config; "
        "first = 'pandas' in sys.modules; results.candidates(); sys.exit(10 * first + ('pandas' not in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
