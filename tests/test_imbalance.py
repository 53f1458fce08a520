"""Long-tailed training sets: how many images of each class are left, which, and what stays as it was."""

import functools

import chex
import numpy as np
import pytest

from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.data.imbalance import class_frequencies, long_tail_counts, long_tailed_rows
from jaxloss.tasks.data.split import stratified_order, sure_counts
from tests.errors import user_error


@functools.cache
def digits(**settings):
    return make_classification(ClassificationSettings("digits", **settings))


def test_the_profile_is_exponential_and_keeps_the_ratio():
    # Cui et al.: 5,000 images of each of ten classes, the rarest 50 at 100:1.
    counts = long_tail_counts(np.full(10, 5000), 100.0)
    np.testing.assert_array_equal(counts, [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
    # A class that is rare already bounds all others: 40 = n / 4^(1/2).
    np.testing.assert_array_equal(long_tail_counts(np.array([500, 40, 70]), 4.0), [80, 40, 20])
    np.testing.assert_array_equal(long_tail_counts(np.array([7]), 4.0), [7])


@pytest.mark.parametrize(("available", "largest"), [([30, 30, 30], 30), ([30, 4, 3], 16), ([5, 100], 5)])
def test_a_ratio_that_is_too_high_names_the_highest(available, largest):
    available = np.array(available)
    assert long_tail_counts(available, float(largest)).min() == 1
    highest = f"task.classification.imbalance_ratio must be at most {largest} for these data, not {largest + 1}"
    with user_error(highest, f"class {len(available) - 1} would have no training image"):
        long_tail_counts(available, largest + 1.0)


def test_a_class_without_images_is_named():
    with user_error("class 1 has none to be sure of"):
        long_tail_counts(np.array([5, 0, 5]), 2.0)


def test_rows_are_a_choice_within_classes():
    labels = np.random.default_rng(0).integers(3, size=200)
    rows = [long_tailed_rows(labels, np.array([20, 9, 4]), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(np.bincount(labels[rows[0]]), [20, 9, 4])
    assert (np.diff(rows[0]) > 0).all()
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows[0] != rows[2]).any()


def test_sure_counts_are_those_of_every_order():
    labels = np.repeat(np.arange(4), [50, 3, 17, 17])
    for size in (0, 1, 20, 44, 86, 87):
        drawn = [np.bincount(labels[stratified_order(labels, np.random.default_rng(s))[:size]], minlength=4) for s in range(40)]
        np.testing.assert_array_equal(sure_counts(labels, size, 4), np.min(drawn, axis=0))


def test_frequencies_lie_above_0():
    frequencies = class_frequencies(np.array([0, 0, 2, 0]), 4)
    assert frequencies.dtype == np.float32
    np.testing.assert_array_equal(frequencies, [0.75, 0.125, 0.25, 0.125])


def test_only_the_training_set_is_long_tailed():
    task, whole = digits(imbalance_ratio=20.0), digits()
    assert task.name == "digits 20:1 long tail"
    assert task.details["imbalance"] == "20:1 long"
    counts = np.bincount(task.data["train"]["label"])
    assert counts.tolist() == task.details["train_images_by_class"] == task.details["train_labels_by_class"]
    assert counts[0] / counts[-1] >= 20
    assert counts[0] // (counts[-1] + 1) < 20
    assert len(counts) == 10
    assert (np.diff(counts) < 0).all()
    assert task.details["num_train"] == counts.sum() < len(whole.data["train"]["label"])
    for name in ("search_eval", "test"):
        chex.assert_trees_all_equal(task.data[name], whole.data[name])


def test_every_division_draws_of_its_own_and_they_are_of_one_size():
    task = digits(imbalance_ratio=20.0, train_limit=700)
    divisions = [task.with_division(number) for number in range(4)]
    assert {len(each.data["train"]["label"]) for each in divisions} == {len(task.data["train"]["label"])}
    chex.assert_trees_all_equal(divisions[0].data, task.data)
    chex.assert_trees_all_equal(divisions[3].data, task.with_division(3).data)
    images = [{image.tobytes() for image in np.asarray(each.data["train"]["image"])} for each in divisions[:2]]
    assert len(images[0] & images[1]) < 0.8 * len(images[0])
    other = digits(imbalance_ratio=20.0, train_limit=700, imbalance_seed=1)
    assert other.details["train_images_by_class"] == task.details["train_images_by_class"]
    assert (other.data["train"]["image"] != task.data["train"]["image"]).any()


def test_noise_comes_after_imbalance_and_the_prior_counts_labels():
    noise = {"noise_kind": "asymmetric", "noise_rate": 0.5}
    task, clean = digits(imbalance_ratio=20.0, **noise), digits(imbalance_ratio=20.0)
    assert task.name == "digits 20:1 long tail 50% asymmetric noise"
    chex.assert_trees_all_equal(task.data["train"]["image"], clean.data["train"]["image"])
    true, seen = (np.array(task.details[f"train_{what}_by_class"]) for what in ("images", "labels"))
    moved = np.array([round(0.5 * int(count)) for count in true])
    np.testing.assert_array_equal(seen, true - moved + np.roll(moved, 1))
    np.testing.assert_array_equal(seen, np.bincount(task.data["train"]["label"]))
    prior = np.asarray(task.data["train"]["prior"])
    np.testing.assert_allclose(prior, np.tile(seen / seen.sum(), (seen.sum(), 1)), rtol=1e-6)


def test_streamed_rows_have_the_same_prior():
    streamed, resident = (digits(imbalance_ratio=20.0, training_data=kind) for kind in ("streamed", "device"))
    rows = streamed.data["train"].read(np.array([3, 0, 9]))
    for name, array in resident.data["train"].items():
        np.testing.assert_array_equal(rows[name], array[np.array([3, 0, 9])])


def test_too_long_a_tail_is_said_as_the_task_is_made():
    with user_error("imbalance_ratio must be at most ", " for these data, not 1000"):
        digits(imbalance_ratio=1000.0)
