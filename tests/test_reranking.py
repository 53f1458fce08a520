"""Re-ranking against the published algorithm, written densely and with sets, one image after the other."""

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.metrics.reranking import RerankingSettings, reranked_distances, reranked_scores
from jaxloss.tasks.metrics.retrieval import JUNK, retrieval_scores


def reference_distances(query, gallery, k1, k2, weight, at_least, same=False):
    """Dense matrices in float64; with `same` queries and gallery are the same images."""
    features = (query if same else np.concatenate([query, gallery])).astype(float)
    first = 0 if same else len(query)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    distances = ((features[:, None] - features[None]) ** 2).sum(axis=2)
    distances /= distances.max(axis=1, keepdims=True)
    order = np.argsort(distances, axis=1, kind="stable")

    def reciprocal(image, k):
        return {other for other in order[image, : k + 1] if image in order[other, : k + 1]}

    count = len(features)
    encoding = np.zeros((count, count))
    for image in range(count):
        own = reciprocal(image, k1)
        expanded = set(own)
        for candidate in own:
            theirs = reciprocal(candidate, int(np.around(k1 / 2)))
            common = len(theirs & own)
            if 3 * common > 2 * len(theirs) or (at_least and 3 * common == 2 * len(theirs)):
                expanded |= theirs
        for other in expanded:
            encoding[image, other] = np.exp(-distances[image, other])
        encoding[image] /= encoding[image].sum()
    encoding = np.array([encoding[order[image, :k2]].mean(axis=0) for image in range(count)])
    final = np.zeros((len(query), len(gallery)))
    for row in range(len(query)):
        for column in range(len(gallery)):
            pair = encoding[[row, first + column]]
            jaccard = 1 - pair.min(axis=0).sum() / pair.max(axis=0).sum()
            final[row, column] = (1 - weight) * jaccard + weight * distances[row, first + column]
    return final


def images(seed, num_queries=9, num_gallery=50, num_ids=6):
    """Queries and gallery, each (features, ids, cameras), in clusters that overlap."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((num_ids, 5))

    def draw(count):
        ids = generator.integers(num_ids, size=count)
        features = centres[ids] + 0.7 * generator.standard_normal((count, 5))
        return features.astype(np.float32), ids, generator.integers(2, size=count)

    return draw(num_queries), draw(num_gallery)


def dense(query, gallery, settings=None, chunk=None):
    return np.concatenate([distances for _, distances in reranked_distances(query, gallery, settings, chunk)])


@pytest.mark.parametrize(
    ("k1", "k2", "weight", "expansion"),
    [
        (20, 6, 0.3, "more_than"),
        (9, 3, 0.3, "at_least"),
        pytest.param(7, 2, 0.3, "more_than", marks=pytest.mark.slow),
        pytest.param(5, 1, 0.0, "more_than", marks=pytest.mark.slow),
        (5, 8, 0.5, "at_least"),
        (90, 70, 0.3, "more_than"),
    ],
)
def test_equals_the_published_algorithm(k1, k2, weight, expansion):
    for seed in range(3):
        (query, *_), (gallery, *_) = images(seed)
        expected = reference_distances(query, gallery, k1, k2, weight, expansion == "at_least")
        found = dense(query, gallery, RerankingSettings(k1, k2, weight, expansion))
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_two_readings_of_two_thirds_differ():
    (query, *_), (gallery, *_) = images(0)
    more_than, at_least = (dense(query, gallery, RerankingSettings(9, 3, 0.3, name)) for name in ("more_than", "at_least"))
    assert np.abs(more_than - at_least).max() > 0.01


def test_the_chunk_does_not_matter(monkeypatch):
    (query, *_), (gallery, *_) = images(1)
    whole = dense(query, gallery)
    monkeypatch.setattr("jaxloss.tasks.metrics.reranking.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("jaxloss.tasks.metrics.reranking.PAIRS_AT_ONCE", 11)
    np.testing.assert_allclose(dense(query, gallery, chunk=4), whole, atol=2e-6)
    rows = [part for part, _ in reranked_distances(query, gallery, chunk=4)]
    assert rows == [slice(0, 4), slice(4, 8), slice(8, 9)]


def arguments(query, gallery):
    return [array for pair in zip(query, gallery, strict=True) for array in pair]


def test_scores_are_those_of_the_original_distances_when_these_have_all_the_weight():
    query, gallery = images(2)
    gallery[1][:5] = JUNK
    query[1][2] = JUNK
    query[1][3] = 77
    expected = {name: float(value) for name, value in retrieval_scores(*arguments(query, gallery)).items()}
    found = reranked_scores(*arguments(query, gallery), settings=RerankingSettings(distance_weight=1.0), chunk=4)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found["num_skipped_queries"] == 1


def test_junk_is_nobodys_neighbour():
    query, gallery = images(3)
    junk = np.arange(50) % 3 == 0
    gallery[1][junk] = JUNK
    kept = tuple(array[~junk] for array in gallery)
    assert reranked_scores(*arguments(query, gallery)) == reranked_scores(*arguments(query, kept))


def test_an_image_that_is_query_and_in_the_gallery_is_one_image():
    """Twice among all images, it would be its own nearest neighbour, and k1 and k2 would reach half as far."""
    generator = np.random.default_rng(6)
    (features, ids, cameras), _ = images(6, num_queries=40)
    is_query, is_gallery = generator.random(40) < 0.6, generator.random(40) < 0.8
    ids[is_query & ~is_gallery & (ids == 0)] = JUNK
    for cameras_or_none in (cameras, None):
        found = reranked_scores(
            *(features, features, ids, ids, cameras_or_none, cameras_or_none),
            query_mask=is_query,
            gallery_mask=is_gallery,
            same_images=True,
            chunk=7,
        )
        asked, kept = np.flatnonzero(is_query & (ids != JUNK)), np.flatnonzero(is_gallery & (ids != JUNK))
        union = np.union1d(asked, kept)
        distances = reference_distances(features[union], features[union], 20, 6, 0.3, at_least=False, same=True)
        precisions = []
        for query in asked:
            rivals = [image for image in kept if image != query]
            if cameras_or_none is not None:
                rivals = [image for image in rivals if (ids[image], cameras[image]) != (ids[query], cameras[query])]
            row = dict(zip(union, distances[np.searchsorted(union, query)], strict=True))
            right = ids[sorted(rivals, key=row.get)] == ids[query]
            if right.any():
                precisions.append(np.mean((np.cumsum(right) / np.arange(1, len(right) + 1))[right]))
        assert found["num_queries"] == len(precisions)
        assert found["mAP_step"] == pytest.approx(np.mean(precisions), abs=1e-5)


def test_re_ranking_helps_where_neighbours_tell():
    """Overlapping clusters of which each image has many neighbours."""
    query, gallery = images(5, num_queries=60, num_gallery=120)
    plain = float(retrieval_scores(*arguments(query, gallery))["mAP_step"])
    assert reranked_scores(*arguments(query, gallery))["mAP_step"] > plain + 0.02


def test_broken_features_never_score():
    query, gallery = images(4)
    query[0][1] = np.nan
    gallery[0][3] = np.inf
    distances = dense(query[0], gallery[0])
    broken = np.zeros((9, 50), bool)
    broken[1], broken[:, 3] = True, True
    np.testing.assert_array_equal(np.isnan(distances), broken)
    query[0][:] = np.nan
    scores = reranked_scores(*arguments(query, gallery))
    assert scores["mAP_step"] == scores["mAP_trapezoid"] == scores["rank_10"] == 0


def test_images_that_are_all_alike_have_finite_distances():
    same = np.ones((40, 3), np.float32)
    assert np.isfinite(dense(same[:4], same)).all()
    assert np.isfinite(dense(np.zeros((2, 3)), np.zeros((3, 3)))).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k1": 0}, "k1 and k2 of the re-ranking must be at least 1, not 0 and 6"),
        ({"distance_weight": 1.5}, r"distance_weight of the re-ranking must be in \[0, 1\], not 1.5"),
        ({"expansion": "atleast"}, "Did you mean 'at_least'"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        RerankingSettings(**settings)


def test_an_empty_gallery_is_refused():
    with pytest.raises(UserError, match="there are 2 queries, 0 in the gallery"):
        reranked_scores(np.ones((2, 3)), np.ones((1, 3)), np.zeros(2, int), np.array([JUNK]))
