"""Retrieval metrics against independent loops over sorted galleries, against scikit-learn, and on cases made by hand."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from experiments.benchmarks import retrieval as benchmark
from jaxloss.core.errors import UserError
from jaxloss.tasks.metrics.retrieval import JUNK, normalise, recalls, retrieval_scores, score_queries

RANKS = (1, 5, 10)


def reference_scores(query, gallery, ranks=RANKS, same_images=False):
    """The rules in words: one query after the other, one sorted list each. `query` and `gallery` are (features, ids, cameras)."""
    (query_features, query_ids, query_cameras), (gallery_features, gallery_ids, gallery_cameras) = query, gallery
    steps, trapezoids, firsts, skipped = [], [], [], 0
    for row in range(len(query_ids)):
        if query_ids[row] == -1:
            continue
        listed = []
        for column in range(len(gallery_ids)):
            same = gallery_ids[column] == query_ids[row]
            same_camera = query_cameras is not None and gallery_cameras[column] == query_cameras[row]
            if gallery_ids[column] == -1 or (same and same_camera) or (same_images and row == column):
                continue
            one, other = query_features[row].astype(float), gallery_features[column].astype(float)
            listed.append((-one @ other / np.linalg.norm(one) / np.linalg.norm(other), same))
        right = [same for _, same in sorted(listed)]  # False before True where similarities are equal
        if not any(right):
            skipped += 1
            continue
        old_recall, old_precision, step, trapezoid = 0.0, 1.0, 0.0, 0.0
        for rank in range(1, len(right) + 1):
            recall, precision = sum(right[:rank]) / sum(right), sum(right[:rank]) / rank
            step += (recall - old_recall) * precision
            trapezoid += (recall - old_recall) * (old_precision + precision) / 2
            old_recall, old_precision = recall, precision
        steps.append(step)
        trapezoids.append(trapezoid)
        firsts.append(1 + right.index(True))
    return {
        "mAP_step": np.mean(steps),
        "mAP_trapezoid": np.mean(trapezoids),
        **{f"rank_{rank}": np.mean(np.array(firsts) <= rank) for rank in ranks},
        "num_queries": len(steps),
        "num_skipped_queries": skipped,
    }


def random_images(generator, count, num_ids, num_cameras=3, length=6):
    ids = generator.integers(-1, num_ids, count)
    features = generator.standard_normal((count, length)) + 0.3 * ids[:, None] % 2
    return features.astype(np.float32), ids.astype(np.int32), generator.integers(num_cameras, size=count).astype(np.int32)


def scores_of(query, gallery, **settings):
    arguments = [array for pair in zip(query, gallery, strict=True) for array in pair]
    return {name: float(value) for name, value in retrieval_scores(*arguments, **settings).items()}


def assert_same(found, expected):
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("num_ids", [2, 5, 60])
def test_equals_a_loop_over_sorted_lists(num_ids):
    """Up to some 50 right answers for a query, which is several blocks of them, and down to none."""
    generator = np.random.default_rng(num_ids)
    query, gallery = random_images(generator, 17, num_ids), random_images(generator, 120, num_ids)
    expected = reference_scores(query, gallery)
    assert expected["num_queries"] > 5
    assert_same(scores_of(query, gallery), expected)


def test_the_chunk_does_not_matter():
    generator = np.random.default_rng(3)
    query, gallery = ((*random_images(generator, count, 4)[:2], None) for count in (7, 30))
    expected = reference_scores(query, gallery)
    for chunk in (1, 3):
        assert_same(scores_of(query, gallery, chunk=chunk), expected)


def test_step_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    similarities = generator.standard_normal((20, 70)).astype(np.float32)
    right = generator.random((20, 70)) < np.linspace(0.02, 0.9, 20)[:, None]
    right[:, 0] = True
    expected = [average_precision_score(*row) for row in zip(right, similarities, strict=True)]
    found = score_queries(similarities, right, ~right)
    np.testing.assert_allclose(found.step, expected, rtol=1e-5)
    assert np.all(found.step >= found.trapezoid)


def score_one(similarities, right, wrong=None):
    """Step, trapezoid and first rank of one query."""
    right = np.array(right, bool)
    wrong = ~right if wrong is None else np.array(wrong, bool)
    scores = score_queries(jnp.array([similarities], jnp.float32), right[None], wrong[None])
    return float(scores.step[0]), float(scores.trapezoid[0]), int(scores.first_rank[0])


def test_one_query_by_hand():
    step, trapezoid, first = score_one([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1])
    assert first == 2
    assert step == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert trapezoid == pytest.approx(((0 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2)
    assert score_one([0.9, 0.8, 0.7], [1, 1, 0]) == (1.0, 1.0, 1)


def test_of_equal_similarities_wrong_answers_come_first():
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        step, _, first = score_one(np.ones(4), np.array([1, 1, 0, 0])[order])
        assert first == 3
        assert step == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert score_one([0.5, 0.5, 0.4], [1, 1, 0])[0] == 1.0


def test_what_is_not_finite_never_scores():
    nan, never = np.nan, np.iinfo(np.int32).max
    assert score_one([nan, nan, nan], [1, 0, 1]) == (0.0, 0.0, never)
    assert score_one([nan], [1]) == (0.0, 0.0, never)
    assert score_one([nan, 0.5], [1, 1])[0] == 0.5  # the one that is found is first of two
    assert score_one([0.9, nan], [1, 0])[2] == 2
    assert score_one([0.9, nan], [1, 0], wrong=[0, 0])[2] == 1  # what is removed does not count
    features = np.full((6, 3), nan, np.float32)
    ids = np.array([0, 0, 0, 1, 1, 1])
    for broken in (features, np.full_like(features, np.inf)):
        found = retrieval_scores(broken, broken, ids, ids, same_images=True, ranks=(8,))
        assert float(found["mAP_step"]) == float(found["mAP_trapezoid"]) == float(found["rank_8"]) == 0.0
        assert int(found["num_queries"]) == 6


def by_angle(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_junk_distractors_and_same_camera():
    query = by_angle(0), np.array([7]), np.array([1])
    #                        same camera, junk, distractor, right, other person, right
    gallery = by_angle(1, 2, 3, 4, 5, 6), np.array([7, JUNK, 0, 7, 8, 7]), np.array([1, 2, 2, 2, 1, 3])
    found = scores_of(query, gallery, ranks=(1, 2))
    assert (found["rank_1"], found["rank_2"]) == (0, 1)
    assert found["mAP_step"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    masked = scores_of(query, gallery, gallery_mask=np.array([1, 1, 0, 1, 1, 1], bool))
    assert masked["mAP_step"] == pytest.approx((1 + 2 / 3) / 2)


def test_queries_without_a_right_answer_are_skipped_and_counted():
    query = by_angle(0, 0, 0, 0), np.array([1, 2, 3, JUNK]), np.array([0, 0, 0, 0])
    gallery = by_angle(1, 2, 3), np.array([1, 2, 4]), np.array([1, 0, 1])
    found = scores_of(query, gallery)
    assert (found["num_queries"], found["num_skipped_queries"]) == (1, 2)
    assert found["rank_1"] == 1
    found = scores_of(query, gallery, query_mask=np.array([0, 1, 1, 1], bool))
    assert (found["num_queries"], found["num_skipped_queries"]) == (0, 2)
    assert found["mAP_step"] == found["rank_1"] == 0


def test_one_set_as_queries_and_gallery_with_padding():
    generator = np.random.default_rng(1)
    features, ids, cameras = random_images(generator, 40, 6)
    is_query, is_gallery = np.arange(40) % 4 == 0, np.arange(40) % 3 > 0
    expected = reference_scores(
        tuple(array[is_query] for array in (features, ids, cameras)),
        tuple(array[is_gallery] for array in (features, ids, cameras)),
    )
    padding = [np.full((9, 6), np.nan, np.float32), np.ones(9, int), np.ones(9, int)]
    features, ids, cameras = (np.concatenate(pair) for pair in zip((features, ids, cameras), padding, strict=True))
    is_query, is_gallery = (np.pad(mask, (0, 9)) for mask in (is_query, is_gallery))
    found = retrieval_scores(
        features, features, ids, ids, cameras, cameras, query_mask=is_query, gallery_mask=is_gallery, same_images=True
    )
    assert_same(found, expected)


def test_recall_is_every_image_against_all_others():
    generator = np.random.default_rng(2)
    features, ids, _ = random_images(generator, 50, 9)
    images = features, ids, None
    expected = reference_scores(images, images, ranks=(1, 2, 4, 8), same_images=True)
    found = retrieval_scores(features, features, ids, ids, same_images=True, ranks=(1, 2, 4, 8), chunk=7)
    assert_same(found, expected)
    named = recalls(found)
    assert set(named) == {"recall_1", "recall_2", "recall_4", "recall_8"}
    assert all(float(value) == float(found[name.replace("recall", "rank")]) for name, value in named.items())


def test_chunks_without_queries_are_left_out():
    """And change nothing: here three chunks of four, and a part of the last one."""
    features, ids, cameras = random_images(np.random.default_rng(3), 40, 6)
    is_query = np.arange(40) < 7
    arguments = [array for array in (features, ids, cameras) for _ in range(2)]
    found = retrieval_scores(*arguments, query_mask=is_query, same_images=True, chunk=10)
    queries = tuple(array[is_query] for array in (features, ids, cameras))
    # An image has its own camera, so that it is never its own answer either way.
    assert_same(found, reference_scores(queries, (features, ids, cameras)))
    conditional = jax.make_jaxpr(lambda mask: retrieval_scores(*arguments, query_mask=mask, chunk=10))(is_query)
    assert "cond[" in str(conditional)


def test_features_are_normalised_whatever_their_size():
    features = np.array([[3, 4], [3e30, 4e30], [3e-30, 4e-30], [0, 0]], np.float32)
    np.testing.assert_allclose(normalise(features), [[0.6, 0.8]] * 3 + [[0, 0]], rtol=1e-6)
    assert normalise(jnp.ones((1, 4), jnp.bfloat16)).dtype == jnp.float32
    assert np.isnan(normalise(np.array([[1, np.inf]], np.float32))).any()


def test_in_double_precision_it_is_exact():
    query, gallery = random_images(np.random.default_rng(4), 12, 3), random_images(np.random.default_rng(5), 60, 3)
    with jax.enable_x64(True):
        query, gallery = ((features.astype(float), *rest) for features, *rest in (query, gallery))
        found = retrieval_scores(*[array for pair in zip(query, gallery, strict=True) for array in pair])
        assert found["mAP_trapezoid"].dtype == jnp.float64
        assert {name: float(value) for name, value in found.items()} == pytest.approx(reference_scores(query, gallery), abs=1e-14)


def test_inside_jit_it_is_compiled_once_and_works_for_many_networks_at_once():
    traces = []

    @jax.jit
    def score(features, ids, cameras, mask):
        traces.append(1)
        one = functools.partial(retrieval_scores, query_mask=mask, gallery_mask=mask, chunk=8)
        return jax.vmap(lambda some: one(some, some, ids, ids, cameras, cameras)["mAP_step"])(features)

    for seed in range(2):
        images = [random_images(np.random.default_rng((seed, lane)), 20, 5) for lane in range(3)]
        _, ids, cameras = images[0]
        found = score(np.stack([features for features, *_ in images]), ids, cameras, np.ones(20, bool))
        expected = [reference_scores(*[(features, ids, cameras)] * 2)["mAP_step"] for features, *_ in images]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"query_cameras": np.zeros(2, int)}, "cameras must be given for the queries and the gallery"),
        ({"ranks": (0, 1)}, "ranks count from 1, not 0"),
        ({"chunk": 0}, "chunk must be at least 1, not 0"),
        ({"same_images": True}, "as many queries as gallery images, not 2 and 3"),
        ({"gallery_features": np.zeros((3, 4))}, "query features have length 5, gallery features 4"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, message):
    gallery_features = settings.pop("gallery_features", np.zeros((3, 5)))
    with pytest.raises(UserError, match=message):
        retrieval_scores(np.zeros((2, 5)), gallery_features, np.zeros(2, int), np.zeros(3, int), **settings)


@pytest.mark.parametrize("reranked", [False, True])
def test_benchmark(tmp_path, capsys, reranked):
    table = tmp_path / "out.json"
    tiny = ["--queries", "6", "--gallery", "40", "--features", "8", "--identities", "5", "--sorted", "6", "--json", str(table)]
    benchmark.main([*tiny, *(["--rerank"] if reranked else [])])
    results = json.loads(table.read_text())
    assert {"device", "jax", "commit", "command"} < results.keys()
    rows = {row["way"]: row for row in results["rows"]}
    assert set(rows) == ({"reranking"} if reranked else {"counting", "sorting"})
    for row in rows.values():
        assert row["seconds"] > 0
        assert row["peak_memory_mib"] > 0
    if not reranked:
        assert results["largest_difference"] < 1e-5
    assert "queries" in capsys.readouterr().out
