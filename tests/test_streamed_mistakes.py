"""Whoever streams training data of their own is told in one line what is wrong with them."""

import dataclasses

import numpy as np
import pytest

from jaxloss.config.schema import default_config
from jaxloss.config.wiring import make_problems
from jaxloss.core.errors import UserError
from jaxloss.core.problem import PREDICTIONS
from jaxloss.tasks.check import check_task
from jaxloss.tasks.data.stream import ArrayRows
from tests.test_stream import OneByOne, end, run, serial, streamed, trial


class Breaking(OneByOne):
    """Right until row 17."""

    def __init__(self, arrays, row):
        super().__init__(arrays)
        self.row = row

    def __getitem__(self, row):
        return self.row(super().__getitem__(row)) if row == 17 else super().__getitem__(row)


class Narrow(ArrayRows):
    """Right for one row, with a number less in batches."""

    def __getitems__(self, rows):
        found = super().__getitems__(rows)
        return found if len(rows) == 1 else {**found, "point": found["point"][:, :1]}


SOURCE = "the source of the streamed rows"
WRONG_ROWS = {
    "raises": (lambda one: {}["x"], rf"{SOURCE} raises KeyError: 'x' \(tests/test_streamed_mistakes\.py, line \d+\)$"),
    "no arrays": (lambda one: None, rf"{SOURCE} must give {{name: array}} for every row, not None"),
    "another shape": (
        lambda one: {**one, "point": np.zeros(3)},
        rf"{SOURCE} must give the same arrays for all: float64\[2\] as \['point'\] was expected of row \d+, float64\[3\] came$",
    ),
}


@pytest.mark.parametrize("mistake", WRONG_ROWS)
def test_a_later_row_that_is_wrong_is_one_line(mistake):
    row, says = WRONG_ROWS[mistake]
    execution = serial(streamed(wrap=lambda found: Breaking(found, row)))
    with pytest.raises(UserError, match=says):
        run(execution, trial())
    end(execution)


def test_a_batch_of_other_arrays_is_one_line():
    execution = serial(streamed(wrap=Narrow))
    with pytest.raises(
        UserError, match=rf"{SOURCE} must .*: float32\[10, 2\] as \['point'\] .* of a batch, float32\[10, 1\] came"
    ):
        run(execution, trial())
    end(execution)


def test_a_problem_that_does_not_read_streamed_rows():
    task = streamed()
    task = dataclasses.replace(task, problems={PREDICTIONS: lambda variables, examples, key, number: examples["label"]})
    says = (
        r"the problem 'predictions' of the task fast \(.*take_rows\(examples, rows\) reads some\) raises TypeError: .* not subs"
    )
    with pytest.raises(UserError, match=says):
        check_task(task, num_samples=5)
    with pytest.raises(UserError, match=says):
        make_problems(default_config(), task)(PREDICTIONS)


def test_mistakes_in_files_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot read '.*absent.npy' as an array of training data"):
        ArrayRows.from_npy_files({"image": tmp_path / "absent.npy"})
    with pytest.raises(UserError, match=r"same number of rows, and have \{'a': 2, 'b': 3\}"):
        ArrayRows({"a": np.zeros(2), "b": np.zeros(3)})
