"""The first training of a run says whether anything learns, once, and binds the run to nothing."""

import numpy as np
import pytest

from jaxloss.runs import open_for_reading
from jaxloss.study.comparison import Comparison
from tests.launch.command import run

COMPARE = ("mode=compare", "losses=('cross_entropy', 'gce')", "comparison.test_seeds=1", "quiet=false")
# Steps that move nothing: the trained network scores as the untrained one.
STILL = (*COMPARE, "training.learning_rate=1e-9", "comparison.learning_rate_low=1e-9", "comparison.learning_rate_high=1e-9")


def rows_of(path):
    with open_for_reading(path) as opened:
        return opened.archive.trainings("baseline"), opened.read_summary()


def test_where_nothing_learns_a_run_says_so_at_once_and_at_the_end(tmp_path, capsys):
    assert run(tmp_path / "run", *STILL) == 0
    output = capsys.readouterr()
    (line,) = [line for line in output.err.splitlines() if "nothing learns" in line]
    assert "with cross_entropy at rate 1e-09 the accuracy on search_eval is" in line
    assert "Nothing learned here" in output.out
    (row,), summary = rows_of(tmp_path / "run")
    assert summary["baseline_check"]["trained"] == row.score <= summary["baseline_check"]["untrained"]
    assert not summary["baseline_check"]["learns"]
    assert "Nothing learned here" in (tmp_path / "run" / "report.html").read_text()


def test_a_network_that_collapsed_to_one_class_has_not_learned(tmp_path, capsys):
    """It has a tenth of ten classes right; the network that it was had less, by luck."""
    digits = ("mode=compare", "losses=('cross_entropy',)", "task.name=classification", "task.classification.source=digits")
    rates = [f"{key}=1000" for key in ("training.learning_rate", "comparison.learning_rate_low", "comparison.learning_rate_high")]
    assert run(tmp_path / "run", *digits, "training.optimiser=adam", *rates, "quiet=false") == 0
    assert "nothing learns: with cross_entropy at rate 1000 " in capsys.readouterr().err
    _, summary = rows_of(tmp_path / "run")
    assert 0.08 < summary["baseline_check"]["trained"] < 0.12 < summary["baseline_check"]["untrained"]


def test_where_it_learns_nothing_is_said_and_a_second_start_trains_nothing(tmp_path, capsys):
    for _ in range(2):
        assert run(tmp_path / "run", *COMPARE) == 0
        output = capsys.readouterr()
        assert "othing learn" not in output.err + output.out
        (row,), summary = rows_of(tmp_path / "run")
        check = summary["baseline_check"]
        assert check["learns"]
        assert (check["loss"], check["learning_rate"], check["trained"]) == ("cross_entropy", row.learning_rate, row.score)
        assert (row.seed, row.division) == (0, 0)


@pytest.mark.parametrize("rate", [1e-9, 0.1])
def test_one_loss_that_is_trained_alone_is_looked_at_as_well(tmp_path, capsys, rate):
    """On the test split, by the first of its trainings: there are no others."""
    assert run(tmp_path / "run", "mode=train", "loss=cross_entropy", f"training.learning_rate={rate}", "quiet=false") == 0
    output = capsys.readouterr()
    still = rate == 1e-9
    assert ("nothing learns: with cross_entropy at rate 1e-09 the accuracy on test is" in output.err) == still
    assert ("Nothing learned here" in output.out) == still
    rows, summary = rows_of(tmp_path / "run")
    assert not rows
    assert summary["baseline_check"]["learns"] != still


@pytest.mark.parametrize(("metric", "name"), [("ece", "calibration"), ("worst_class_accuracy",) * 2])
def test_where_the_metric_does_not_tell_what_is_learned_the_balanced_accuracy_does(tmp_path, capsys, metric, name):
    """An untrained network is sure of nothing, and so perfectly calibrated; a trained one may have nothing of a class."""
    digits = ("mode=train", "loss=cross_entropy", "task.name=classification", "task.classification.source=digits")
    # So long a tail that the last class stays unknown.
    tail = ("task.classification.imbalance_ratio=80", "training.num_epochs=2")
    assert run(tmp_path / "run", *digits, *tail, f"task.classification.metric={metric}", "quiet=false") == 0
    assert "othing learn" not in "".join(capsys.readouterr())
    _, summary = rows_of(tmp_path / "run")
    assert summary["metric"] == name
    if metric == "worst_class_accuracy":
        assert summary["comparison"][0]["untuned"]["test_mean"] == 0
    assert summary["baseline_check"]["metric"] == "mean_class_accuracy"


def test_a_network_that_knows_nothing_but_the_frequent_class_has_learned_less_than_one_that_knows_both(tmp_path, capsys):
    """It has nineteen of twenty right, more than a network that was trained to tell the classes apart."""
    random = np.random.default_rng(0)
    labels = (np.arange(2000) % 20 == 0).astype(np.int32)
    # Far from 0, an untrained network takes all for one class.
    images = (6 + labels[:, None] + random.standard_normal((2000, 4))).astype(np.float32)
    np.savez(tmp_path / "rare.npz", train_images=images.reshape(-1, 2, 2, 1), train_labels=labels)
    task = ("task.name=classification", "task.classification.source=npz:rare.npz", f"data_dir={tmp_path}")
    scored = ("task.classification.metric=worst_class_accuracy", "task.classification.model=mlp")
    trained = ("mode=train", "loss=balanced_softmax", "training.optimiser=adam", "training.learning_rate=0.01")
    assert run(tmp_path / "run", *task, *scored, *trained, "quiet=false") == 0
    assert "othing learn" not in "".join(capsys.readouterr())
    _, summary = rows_of(tmp_path / "run")
    (row,) = summary["comparison"]
    assert row["untuned"]["test_means"]["accuracy"] < 0.95
    assert row["untuned"]["test_mean"] > 0.3  # of the worse of two classes; without training it is 0


class Killed(Exception):
    """In place of a kill."""


@pytest.mark.parametrize("corrected", [False, True])
def test_a_run_that_was_killed_behind_its_baseline_takes_a_corrected_config(tmp_path, monkeypatch, corrected):
    """With the old one the baseline is not trained again; with another it is, since the old one says nothing of that."""

    def die(*_):
        raise Killed

    path = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Comparison, "tune", die)
        patched.setattr("shutil.rmtree", lambda *_, **__: None)  # a kill clears nothing up
        with pytest.raises(Killed):
            run(path, *COMPARE)
    with open_for_reading(path) as opened:
        (before,) = opened.archive.trainings()
    assert run(path, *COMPARE, *(["training.momentum=0.5"] if corrected else [])) == 0
    (after,), _ = rows_of(path)
    assert (after == before) != corrected
