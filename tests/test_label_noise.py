"""Noise in labels: as much as is asked for, of the kind that is asked for."""

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.noise import class_mapping, noisy_labels
from tests.errors import one_line


def test_symmetric_noise():
    labels = np.repeat(np.arange(10), 200).astype(np.int32)
    noisy = noisy_labels(labels, 10, "symmetric", 0.4, 0)
    # 800 are replaced, of which a tenth stays right by chance.
    assert 680 <= (noisy != labels).sum() <= 760
    wrong = np.bincount(noisy[noisy != labels], minlength=10)
    assert wrong.min() > 40
    assert wrong.max() < 110
    np.testing.assert_array_equal(noisy, noisy_labels(labels, 10, "symmetric", 0.4, 0))
    assert (noisy != noisy_labels(labels, 10, "symmetric", 0.4, 1)).any()
    np.testing.assert_array_equal(labels, np.repeat(np.arange(10), 200))
    np.testing.assert_array_equal(labels, noisy_labels(labels, 10, "none", 0.4, 0))
    np.testing.assert_array_equal(labels, noisy_labels(labels, 10, "symmetric", 0.0, 0))


def test_asymmetric_noise():
    labels = np.repeat(np.arange(10), 50).astype(np.int32)
    noisy = noisy_labels(labels, 10, "asymmetric", 0.3, 0)
    wrong = noisy != labels
    np.testing.assert_array_equal(noisy[wrong], (labels[wrong] + 1) % 10)
    np.testing.assert_array_equal(np.bincount(labels[wrong]), 15)
    cifar = noisy_labels(labels, 10, "asymmetric", 0.3, 0, "cifar10")
    pairs = {(int(old), int(new)) for old, new in zip(labels, cifar, strict=True) if old != new}
    assert pairs == {(9, 1), (2, 0), (4, 7), (3, 5), (5, 3)}
    np.testing.assert_array_equal(class_mapping([2, 0, 1], 3), [2, 0, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("symetric", 0.4, 0), "Did you mean 'symmetric'"),
        (("symmetric", 1.4, 0), "between 0 and 1"),
        (("asymmetric", 0.4, 0, "cifar"), "Did you mean 'cifar10'"),
        (("asymmetric", 0.4, 0, "cifar10"), "more classes"),
        (("asymmetric", 0.4, 0, (0, 3, 1)), "one of the 3 classes"),
    ],
)
def test_noise_that_cannot_be(arguments, message):
    with pytest.raises(UserError, match=message) as error:
        noisy_labels(np.zeros(5, np.int32), 3, *arguments)
    assert one_line(error)


def test_flipped_labels_are_all_wrong_and_go_to_every_other_class():
    labels = np.repeat(np.arange(5), 200)
    noisy = noisy_labels(labels, 5, "flipped", 0.2, (0, 0), "next")
    wrong = noisy != labels
    assert wrong.sum() == 200
    assert {(old, new) for old, new in zip(labels[wrong], noisy[wrong], strict=True)} == {
        (old, new) for old in range(5) for new in range(5) if old != new
    }
