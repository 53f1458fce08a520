"""Verification and identification among distractors, against their definitions pair by pair."""

import itertools

import jax
import numpy as np
import pytest

from jaxloss.tasks.metrics.verification import RANK_1, VERIFICATION, verification_scores

scores_of = jax.jit(verification_scores)


def reference(features, ids, rates=(0.01, 0.001)):
    """In float64, pair by pair."""
    known = [index for index, one in enumerate(ids) if one != -1]
    norms = np.linalg.norm(features.astype(float), axis=1, keepdims=True)
    unit = features / np.where(norms > 0, norms, 1)
    cosine = {pair: float(unit[pair[0]] @ unit[pair[1]]) for pair in itertools.permutations(known, 2)}
    genuine = [cosine[one] for one in itertools.combinations(known, 2) if ids[one[0]] == ids[one[1]]]
    impostors = sorted((cosine[one] for one in itertools.combinations(known, 2) if ids[one[0]] != ids[one[1]]), reverse=True)
    found = {}
    for rate in rates:
        threshold = impostors[len(impostors) // round(1 / rate)]
        found[f"tar_at_far_{rate:g}"] = np.mean([one > threshold for one in genuine])
    mates = [(i, j) for i, j in cosine if ids[i] == ids[j]]
    wins = [cosine[i, j] > max(cosine[i, k] for k in known if ids[k] != ids[i]) for i, j in mates]
    return {**found, RANK_1: np.mean(wins)}


@pytest.mark.parametrize("spread", [0.2, 0.6, 2.0])
def test_scores_are_those_of_the_definition(spread):
    random = np.random.default_rng(int(10 * spread))
    ids = np.repeat(np.arange(12), 4)
    features = (random.normal(size=(12, 6))[ids] + spread * random.normal(size=(48, 6))).astype(np.float32)
    ids = np.where(random.random(48) < 0.1, -1, ids)
    found = scores_of(features, ids)
    assert set(found) == set(VERIFICATION)
    for name, value in reference(features, ids).items():
        assert float(found[name]) == pytest.approx(value, abs=1e-6)


def test_a_network_that_maps_all_images_to_one_point_gains_nothing():
    found = scores_of(np.ones((12, 3), np.float32), np.repeat(np.arange(3), 4))
    assert not any(map(float, found.values()))


def test_perfect_features_and_what_is_not_finite():
    ids = np.repeat(np.arange(3), 4)
    features = np.eye(3, dtype=np.float32)[ids]
    assert all(float(value) == 1 for value in scores_of(features, ids).values())
    features[0] = np.nan
    found = scores_of(features, ids)
    # Its pairs are ahead of all others: no threshold accepts a genuine one, and only its own identity has no such rival.
    assert float(found["tar_at_far_0.001"]) == 0
    assert float(found[RANK_1]) == pytest.approx(6 / 36)
