"""The networks of a comparison at work: kept beside their first trainings on the test, drawn at the end, never trained for."""

import dataclasses

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.runs.shown import SHEET
from jaxloss.study import comparison as stages
from jaxloss.study.shown import baseline_of, store_pictures
from jaxloss.tasks.base import TEST
from jaxloss.tasks.check import check_task
from jaxloss.tasks.pictures import LegendEntry, Pictures, Sheet
from tests.changed_tasks import BATCH, BRANCH, TASK
from tests.comparison.pretence import CONTENDERS, SETTINGS, Pretence, comparison

READS = {BRANCH: ("prediction", "target")}
GREY = np.full((2, 3, 3), 90, np.uint8)


def drawn(examples, outputs):
    shades = {name: one["shade"].reshape(-1, 1, 1, 1) for name, one in outputs.items()}
    columns = {name: np.broadcast_to(shade, (4, 2, 3, 3)).astype(np.uint8) for name, shade in shades.items()}
    return Sheet({"point": np.zeros((4, 2, 3, 3), np.uint8), **columns}, (LegendEntry("grey", GREY),), "note")


PICTURES = Pictures(lambda variables, examples: {"shade": examples["label"].astype(np.uint8)}, drawn)


class Showing(Pretence):
    """Trains nothing, and shows what is asked for."""

    def run(self, trials):
        for trial, (outcome, seconds) in zip(trials, super().run(trials), strict=True):
            shown = {"shade": np.arange(4, dtype=np.uint8)} if trial.show and outcome.finite else None
            yield dataclasses.replace(outcome, shown=shown), seconds


def results_of(archive, execution, contenders=CONTENDERS):
    points = [one.default(0.1) for one in contenders]
    compared = comparison(archive, execution)
    return compared.test(contenders, points, [0.5 + 0.01 * i for i in range(len(contenders))], "test tuned", show=True)


def test_the_first_training_of_each_loss_is_shown_and_kept_once(archive):
    execution = Showing()
    results = results_of(archive, execution)
    first = SETTINGS.divisions[0], SETTINGS.first_test_seed
    assert [(trial.division, trial.start) for trial in execution.trials if trial.show] == [first] * len(CONTENDERS)
    task = dataclasses.replace(TASK, pictures=PICTURES)
    for _ in range(2):
        store_pictures(task, archive, "test tuned", [results[2], results[0]])
        sheet = archive.state(SHEET)
        assert [column["title"] for column in sheet["columns"]] == ["point", "cross_entropy", "found 1"]
        assert [column["is_loss"] for column in sheet["columns"]] == [False, True, True]
        assert (sheet["division"], sheet["seed"], sheet["note"]) == (*first, "note")
    again = Showing()
    results_of(archive, again)
    assert again.trials == []


def test_what_was_stopped_or_stored_by_an_earlier_version_is_not_shown(archive):
    stopped = Showing(lambda trial: None if trial.family.name == "focal" else 0.5)
    results = results_of(archive, stopped, CONTENDERS[2:4])
    task = dataclasses.replace(TASK, pictures=PICTURES)
    store_pictures(task, archive, "test tuned", results)
    assert [column["title"] for column in archive.state(SHEET)["columns"]] == ["point", "cross_entropy"]


def test_a_task_without_pictures_and_trainings_without_outputs_draw_none(archive):
    results = results_of(archive, Pretence())
    store_pictures(TASK, archive, "test tuned", results)
    store_pictures(dataclasses.replace(TASK, pictures=PICTURES), archive, "test tuned", results)
    assert archive.state(SHEET) is None


def test_a_loss_is_shown_beside_the_first_handcrafted_one_that_is_another():
    scores = [0.1, 0.2, 0.3, 0.9, 0.5]
    results = [
        stages.TestResult(one, one.default(0.1), score, {(0, 0): 0.5}) for one, score in zip(CONTENDERS, scores, strict=True)
    ]
    assert baseline_of(results[0], results) is results[2]
    assert baseline_of(results[2], results) is results[3]
    assert baseline_of(results[0], results[:2]) is results[1]
    assert baseline_of(results[0], results[:1]) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"predict": lambda variables, examples: examples["label"]},
            "pictures.predict of the task fast must give {name: array [4, ...]}, not int32[4]",
        ),
        (
            {"predict": lambda variables, examples: {"shade": examples["label"][:2]}},
            "pictures.predict of the task fast must give arrays [4, ...], and shade is int32[2]",
        ),
        ({"draw": lambda examples, outputs: outputs}, "pictures.draw of the task fast must give a Sheet, not "),
        (
            {"draw": lambda examples, outputs: Sheet({})},
            "pictures.draw of the task fast must give a column for each network, and there is none for a network",
        ),
        (
            {"draw": lambda examples, outputs: Sheet(dict.fromkeys(outputs, np.zeros((4, 2, 3))))},
            "pictures.draw of the task fast must give pictures uint8[4, h, w, 3], and a network is float64[4, 2, 3]",
        ),
        ({"draw": lambda examples, outputs: 1 / 0}, "pictures.draw of the task fast raises ZeroDivisionError"),
    ],
)
def test_mistakes_in_pictures_are_found_before_anything_is_trained(changes, says):
    check_task(dataclasses.replace(TASK, pictures=PICTURES), BATCH, READS)
    with pytest.raises(UserError) as caught:
        check_task(dataclasses.replace(TASK, pictures=dataclasses.replace(PICTURES, **changes)), BATCH, READS)
    assert says in str(caught.value)


def test_parts_name_scores_that_the_task_has():
    check_task(dataclasses.replace(TASK, parts={"recall": {"one": "accuracy"}}), BATCH, READS)
    with pytest.raises(UserError, match="lacks 'recall of one', which the task has as its parts"):
        check_task(dataclasses.replace(TASK, parts={"recall": {"one": "recall of one"}}), BATCH, READS)


def test_examples_are_spread_evenly():
    rows = {total: PICTURES.choose({"row": np.arange(total)})["row"].tolist() for total in (2, 4, 8, 101)}
    assert rows == {2: [0, 1], 4: [0, 1, 2, 3], 8: [1, 3, 5, 7], 101: [12, 37, 63, 88]}
    assert len(TASK.data[TEST]["label"]) >= PICTURES.most
