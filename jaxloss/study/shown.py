"""Pictures of what networks of a comparison make of a few test examples, drawn by the task from what the archive keeps."""

from collections.abc import Sequence

import jax

from jaxloss.core.abstract import named_errors
from jaxloss.runs.archive import Archive
from jaxloss.runs.shown import SHEET, outputs_name, picture_uri, unpacked
from jaxloss.study.comparison import TestResult
from jaxloss.study.contender import HANDCRAFTED
from jaxloss.study.tables import best_first
from jaxloss.tasks.base import TEST, Task, num_examples
from jaxloss.tasks.check_pictures import check_sheet


def baseline_of(first: TestResult, results: Sequence[TestResult]) -> TestResult | None:
    """What a loss is shown beside: the first hand-crafted one that the config names; without any, its best rival."""
    others = [one for one in results if one is not first]
    handcrafted = [one for one in others if one.contender.kind == HANDCRAFTED]
    return next(iter([*handcrafted, *best_first(others)]), None)


def store_pictures(task: Task, archive: Archive, stage: str, results: Sequence[TestResult]) -> None:
    """Draws the networks of some losses side by side, and stores the pictures; nothing is trained for it.

    Each loss is shown by the first of its trainings. One that was stopped by NaN, or stored by an earlier version, cannot be
    shown.

    Args:
      task: on the division of the data that comes first in the comparison.
      archive: of the run.
      stage: of the trainings.
      results: of the losses, from left to right.
    """
    if task.pictures is None:
        return
    outputs = {}
    for result in results:
        division, seed = next(iter(result.scores))
        row = archive.find_training(
            stage,
            result.contender.identity,
            dict(result.point.hyperparameters),
            result.point.learning_rate,
            seed,
            division,
            TEST,
        )
        stored = None if row is None else archive.state(outputs_name(row))
        if stored is not None:
            outputs[result.contender.label] = unpacked(stored)
    if not outputs:
        return
    examples = jax.device_get(task.pictures.choose(task.data[TEST]))
    what = f"pictures.draw of the task {task.name}"
    with named_errors(what):
        sheet = task.pictures.draw(examples, outputs)
    check_sheet(what, sheet, num_examples(examples), list(outputs))
    columns = [
        {"title": title, "is_loss": title in outputs, "pictures": [picture_uri(one) for one in pictures]}
        for title, pictures in sheet.columns.items()
    ]
    legend = [{"words": key.words, "picture": picture_uri(key.swatch)} for key in sheet.legend]
    stored = {"columns": columns, "legend": legend, "note": sheet.note, "division": division, "seed": seed}
    archive.commit(state={SHEET: stored})
