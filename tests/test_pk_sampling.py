"""Batches of P identities with K images each."""

import jax
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identity_batches import num_pk_batches, pk_order

# Identities with 1 to 9 images, in no order: some have fewer than K images, and 7 is no multiple of P.
COUNTS = np.array([5, 1, 9, 4, 2, 6, 4])
IDENTITIES = np.random.default_rng(0).permutation(np.repeat(np.arange(7), COUNTS)).astype(np.int32)
P, K, BATCHES = 3, 4, 28  # 84 visits: twelve permutations
SETTINGS = {"num_identities": 7, "identities_per_batch": P, "images_per_identity": K, "num_batches": BATCHES}
SEEDS = 400


@pytest.fixture(scope="module")
def epochs():
    """The epochs of many keys, drawn at once."""
    keys = jax.vmap(jax.random.key)(np.arange(SEEDS))
    return np.asarray(jax.jit(jax.vmap(lambda key: pk_order(key, IDENTITIES, **SETTINGS)))(keys))


@pytest.fixture
def order(epochs):
    return epochs[0]


def test_each_batch_has_p_identities_with_k_images(order):
    assert order.dtype == np.int32
    assert order.shape == (BATCHES * P * K,)
    for batch in order.reshape(BATCHES, P, K):
        shown = IDENTITIES[batch]
        assert (shown == shown[:, :1]).all()
        assert len(set(shown[:, 0])) == P
        for identity, rows in zip(shown[:, 0], batch, strict=True):
            # Without replacement where there are enough images, else each as often as the others.
            times = np.bincount(np.unique(rows, return_inverse=True)[1])
            assert len(times) == min(K, COUNTS[identity])
            assert times.max() - times.min() <= 1


def test_identities_are_visited_evenly_at_every_place(order):
    visits = IDENTITIES[order.reshape(-1, K)[:, 0]]
    so_far = np.cumsum(visits[:, None] == np.arange(7), axis=0)
    assert (so_far.max(axis=1) - so_far.min(axis=1)).max() == 1
    assert set(so_far[-1]) == {12}


def test_images_of_an_identity_are_shown_evenly(order):
    times = np.bincount(order, minlength=len(IDENTITIES))
    for identity in range(7):
        own = times[identity == IDENTITIES]
        assert own.sum() == 12 * K
        assert own.max() - own.min() <= 1


def test_each_image_of_an_identity_is_as_likely_to_come_first(epochs):
    """Identity 2 has nine images; 400 epochs, 400 x 4 / 9 = 178 expected among the first four, deviation 10."""
    visited = IDENTITIES[epochs[:, ::K]]
    first = np.argmax(visited == 2, axis=1)
    rows = epochs.reshape(SEEDS, -1, K)[np.arange(SEEDS), first]
    counts = np.bincount(rows.ravel(), minlength=len(IDENTITIES))[IDENTITIES == 2]
    assert counts.sum() == SEEDS * K
    assert abs(counts - 178).max() < 5 * 10


def test_epochs_follow_their_keys(epochs):
    alone = jax.jit(lambda key: pk_order(key, IDENTITIES, **SETTINGS))(jax.random.key(5))
    np.testing.assert_array_equal(alone, epochs[5])
    assert len(np.unique(epochs, axis=0)) == SEEDS


def test_every_identity_is_as_likely_in_every_place(epochs):
    """Also in the batches that two permutations share: 400 epochs, 400 / 7 = 57 expected, deviation 7."""
    visits = IDENTITIES[epochs[:, ::K]][:, : 7 * P]
    counts = (visits[:, :, None] == np.arange(7)).sum(axis=0)
    assert counts.min() > 57 - 5 * 7
    assert counts.max() < 57 + 5 * 7


def test_an_identity_that_waits_for_the_next_batch_may_come_anywhere_in_it(epochs):
    """The last of the first permutation shares its batch with the first two of the second one; from then on it may come."""
    visits = IDENTITIES[epochs[:, ::K]]
    places = np.argmax(visits[:, 7:14] == visits[:, 6:7], axis=1)
    assert set(places) == {2, 3, 4, 5, 6}


def test_as_many_identities_as_a_batch_takes_and_an_incomplete_permutation():
    drawn = jax.jit(lambda key: (pk_order(key, IDENTITIES, 7, 7, 1, 3), pk_order(key, IDENTITIES, 7, 5, 2, 1)))(jax.random.key(0))
    order, short = (IDENTITIES[np.asarray(rows)] for rows in drawn)
    np.testing.assert_array_equal(np.sort(order.reshape(3, 7)), np.tile(np.arange(7), (3, 1)))
    short = short.reshape(5, 2)
    assert len(set(short[:, 0])) == 5


def test_number_of_batches():
    assert num_pk_batches(12_936, 16, 4) == 202
    assert num_pk_batches(10, 16, 4) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identities_per_batch": 8}, "identities_per_batch is 8, but there are 7 training identities"),
        ({"images_per_identity": 0}, r"images_per_identity \(0\).*at least 1"),
    ],
)
def test_batches_that_cannot_be(change, message):
    with pytest.raises(UserError, match=message):
        pk_order(jax.random.key(0), IDENTITIES, **{**SETTINGS, **change})
