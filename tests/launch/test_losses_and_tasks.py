"""Losses and tasks that cannot be, or do not fit each other: one line that names them."""

import dataclasses
import zipfile

import numpy as np
import pytest

from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.registry import TASKS, RegisteredTask

CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("mode=train",), "mode=train needs --config.loss"),
        (("mode=train", "loss=focall"), "unknown loss 'focall'. Did you mean 'focal'?"),
        (("mode=train", "loss=Neg(prediktion)"), "bad formula at character 5: unknown input 'prediktion'"),
        (("mode=train", "loss=Neg(prediction, target)"), "bad formula at character 1: Neg takes 1 operand, not 2"),
        (
            ("mode=compare", f"losses=('{CROSS_ENTROPY}', 'Neg(Mul(Log(prediction),  target))')"),
            f"names one loss twice: '{CROSS_ENTROPY}' and 'Neg(Mul(Log(prediction),  target))' are the same graph",
        ),
        (
            ("search.name=random_search", f"search.seeds=('{CROSS_ENTROPY}',)"),
            "config key search.seeds does nothing in this run: it is read by search.name=evolution or generations, and this run "
            "has search.name=random_search",
        ),
        (("mode=compare", "losses=()"), "mode=compare needs --config.losses"),
        (("mode=compare", f"losses=('{CROSS_ENTROPY}', 'Add(target)')"), "Add takes 2 operands, not 1"),
        (("mode=train", "loss=focal", "space.autoloss_zero.branches=other"), "has a branch 'other'"),
    ],
)
def test_losses(refused, overrides, says):
    assert says in refused(*overrides)


def test_inputs_that_the_task_does_not_offer(refused, monkeypatch):
    """A graph space and a hand-crafted loss on a task without their inputs."""

    def without(name):
        task = make_fast()
        return dataclasses.replace(
            task,
            offers={"classification": tuple(one for one in ("prediction", "target", "logits") if one != name)},
            ranges={},
            with_division=lambda seed: without(name),
        )

    for missing, who in (("target", "the space autoloss_zero"), ("logits", "the hand-crafted loss 'cross_entropy'")):
        monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_, missing=missing: without(missing)))
        assert f"{who} needs the input '{missing}'" in refused()


def test_a_task_without_examples(refused):
    assert "the task fast has no examples in its split 'train'" in refused("task.fast.size=0")


@pytest.mark.parametrize(
    ("ranges", "says"),
    [
        ({"classification": {"predicton": (0, 1)}}, "gives a range for 'predicton' of 'classification', which it does not offer"),
        ({"regression": {"prediction": (0, 1)}}, "gives a range for 'prediction' of 'regression', which it does not offer"),
        ({"classification": {"target": (1, 0)}}, "must be (low, high) with low < high, not (1, 0)"),
        ({"classification": {"target": 1}}, "must be (low, high) with low < high, not 1"),
    ],
)
def test_a_task_with_ranges_that_are_none(refused, monkeypatch, ranges, says):
    wrong = dataclasses.replace(make_fast(), ranges=ranges, with_division=lambda seed: wrong)
    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_: wrong))
    assert says in refused()


def test_a_task_whose_arrays_differ_in_length(refused, monkeypatch):
    task = make_fast()
    test = {**task.data["test"], "label": task.data["test"]["label"][1:]}
    broken = dataclasses.replace(task, data={**task.data, "test": test}, with_division=lambda seed: broken)
    monkeypatch.setitem(TASKS, "fast", RegisteredTask(FastSettings, lambda *_: broken))
    assert "the arrays of the split 'test' of the task fast have different lengths: [59, 60]" in refused()


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("source=digit", "unknown data source 'digit'. Did you mean 'digits'?"),
        ("source=npz:absent.npz", "no data file 'absent.npz': looked for "),
        ("model=mpl", "unknown"),
        ("noise_kind=loud", "loud"),
        ("noise_rate=2.0", "2.0"),
        ("fractions=(0.5, 0.5, 0.5)", "sum to 1"),
        ("augmentation=flip", "unknown task.classification.augmentation 'flip'"),
    ],
)
def test_classification_task(refused, override, says):
    assert says in refused("task.name=classification", f"task.classification.{override}")


@pytest.mark.parametrize("content", [b"", b"not an archive", "cut"])
def test_a_broken_data_file(refused, tmp_path, content):
    file = tmp_path / "broken.npz"
    if content == "cut":
        np.savez(file, train_images=np.zeros((20, 4, 4), np.uint8), train_labels=np.arange(20) % 2)
        content = file.read_bytes()[:-100]
    file.write_bytes(content)
    assert not zipfile.is_zipfile(file)
    assert str(file) in refused("task.name=classification", f"task.classification.source=npz:{file}")
