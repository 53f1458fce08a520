"""Metrics of segmentation: against NumPy, by hand, in pieces, on devices, and under vmap."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.exact_sums import add_exactly
from jaxloss.tasks.metrics.segmentation.registry import METRICS, metric_title
from jaxloss.tasks.metrics.segmentation.streaming import SegmentationMetrics
from tests.segmentation_metrics.reference import VOID, blobs, cases, scores

NUM_CLASSES = 4
CASES = cases(NUM_CLASSES)
RULES = {
    "of the paper": BoundaryRule(),
    "narrow": BoundaryRule(trimap_width=1, tolerance=2),
    "exact": BoundaryRule(trimap_width=0, tolerance=0),
    "void ignored": BoundaryRule(trimap_width=2, tolerance=1, void="ignored"),
}


@functools.cache
def compiled(rule, num_classes=NUM_CLASSES):
    metrics = SegmentationMetrics(num_classes, rule=rule)

    def outcome(predicted, labels):
        state = metrics.update(metrics.start(), predicted, metrics.prepare(labels))
        return metrics.compute(state), metrics.of_classes(state), state

    return metrics, jax.jit(outcome)


def maps(name):
    return (jnp.asarray(one, jnp.int32) for one in CASES[name])


def given_to(rule):
    return {"width": rule.trimap_width, "tolerance": rule.tolerance, "void": rule.void}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_the_definitions(name, rule):
    found = compiled(rule)[1](*maps(name))[0]
    wanted = scores(*CASES[name], NUM_CLASSES, **given_to(rule))
    assert set(found) == set(METRICS) == set(wanted)
    for metric, value in wanted.items():
        assert float(found[metric]) == pytest.approx(value, rel=1e-6, abs=1e-7), metric


def test_cases_try_what_they_are_for():
    """Scores of different cases differ, so that a metric that looks at nothing fails."""
    found = {name: scores(*pair, NUM_CLASSES) for name, pair in CASES.items()}
    assert found["perfect"]["mean_iou"] == found["perfect"]["global_accuracy"] == 1
    for metric in METRICS:
        assert len({round(one[metric], 6) for one in found.values()}) > 6, metric
    assert found["no boundary in truth"]["boundary_f1"] == found["no boundary at all"]["boundary_iou"] == 0
    assert found["no boundary at all"]["mean_iou"] == 1


def test_scores_of_more_classes_than_bits_of_a_word():
    num_classes, rule = 70, BoundaryRule(tolerance=2)
    true = blobs(3, (2, 24, 24), num_classes, smoothness=1.0, void=0.1)
    predicted = np.where(np.random.default_rng(4).random(true.shape) < 0.7, true % VOID, 69)
    assert len(np.unique(true)) > 60
    found = compiled(rule, num_classes)[1](jnp.asarray(predicted), jnp.asarray(true))[0]
    for metric, value in scores(predicted, true, num_classes, tolerance=2).items():
        assert float(found[metric]) == pytest.approx(value, rel=1e-6), metric


class TestByHand:
    """A column of class 1 in 7 x 7 positions, predicted two columns to the right."""

    RULE = BoundaryRule(trimap_width=1, tolerance=1)
    COLUMN = np.zeros((1, 7, 7), int)
    COLUMN[:, :, 1] = 1

    def scores(self, predicted, true):
        _, found = compiled(self.RULE)
        return {name: float(value) for name, value in found(jnp.asarray(predicted), jnp.asarray(true))[0].items()}

    def test_regions(self):
        found = self.scores(np.roll(self.COLUMN, 2, axis=2), self.COLUMN)
        # Class 0: 35 of 49 positions are right, 42 are true, 42 predicted; class 1: none of 7 and 7.
        assert found["mean_iou"] == pytest.approx((35 / 49 + 0) / 2)
        assert found["frequency_weighted_iou"] == pytest.approx(42 / 49 * 35 / 49)
        assert found["global_accuracy"] == pytest.approx(35 / 49)
        assert found["mean_accuracy"] == pytest.approx((35 / 42 + 0) / 2)

    def test_boundaries(self):
        found = self.scores(np.roll(self.COLUMN, 2, axis=2), self.COLUMN)
        # True edges are columns 0, 1 and 2, so the band is columns 0 to 3: in column 0 and 2 class 0 is right.
        assert found["boundary_iou"] == pytest.approx((14 / 28 + 0) / 2)
        # Class 0: true edges in columns 0 and 2, predicted in 2 and 4. Column 0 is two away from column 2.
        assert found["boundary_f1"] == pytest.approx((1 / 2 + 0) / 2)

    def test_a_class_that_is_only_predicted_has_an_iou_of_zero_and_no_accuracy(self):
        predicted = self.COLUMN.copy()
        predicted[0, 0, 5] = 3
        found = self.scores(predicted, self.COLUMN)
        assert found["mean_iou"] == pytest.approx((41 / 42 + 1 + 0) / 3)
        assert found["mean_accuracy"] == pytest.approx((41 / 42 + 1) / 2)

    def test_the_frequency_weighted_iou_does_not_rise_with_classes_that_are_nowhere(self):
        """The published evaluator multiplies a mean over the classes that occur with the number of all classes."""
        assert self.scores(self.COLUMN, self.COLUMN)["frequency_weighted_iou"] == 1

    def test_void_beside_an_object_makes_a_boundary_and_is_judged_where_it_counts(self):
        true = np.full((1, 7, 7), 2)
        true[:, :, 5:] = VOID
        predicted = np.full((1, 7, 7), 2)
        # Column 4 is a true edge, and the prediction has none; without void as a neighbour nothing has one.
        assert self.scores(predicted, true)["boundary_iou"] == 1
        assert self.scores(predicted, true)["boundary_f1"] == 0
        _, ignoring = compiled(RULES["void ignored"])
        found = ignoring(jnp.asarray(predicted), jnp.asarray(true))[0]
        assert float(found["boundary_iou"]) == 0
        predicted[:, :, 5:] = 1
        assert self.scores(predicted, true)["boundary_f1"] == 1


class TestVoid:
    def test_what_is_predicted_inside_void_changes_no_region(self):
        predicted, true = CASES["blobs"]
        other = np.where(true == VOID, (predicted + 1) % NUM_CLASSES, predicted)
        one, two = (compiled(BoundaryRule())[1](jnp.asarray(p), jnp.asarray(true))[0] for p in (predicted, other))
        for metric in set(METRICS) - {"boundary_f1"}:
            assert float(one[metric]) == float(two[metric]), metric
        assert float(one["boundary_f1"]) != float(two["boundary_f1"])

    def test_where_void_is_ignored_it_changes_nothing(self):
        predicted, true = CASES["blobs"]
        other = np.where(true == VOID, (predicted + 1) % NUM_CLASSES, predicted)
        found = [compiled(RULES["void ignored"])[1](jnp.asarray(p), jnp.asarray(true))[0] for p in (predicted, other)]
        assert {name: float(value) for name, value in found[0].items()} == {k: float(v) for k, v in found[1].items()}

    @pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
    def test_all_void_scores_nothing(self, rule):
        predicted, _ = CASES["blobs"]
        found, classes, _ = compiled(rule)[1](jnp.asarray(predicted), jnp.full(predicted.shape, VOID))
        assert not any(float(value) for value in found.values())
        assert all(np.isnan(values).all() for name, values in classes.items())

    def test_a_mask_is_void_too(self):
        predicted, true = CASES["blobs"]
        metrics, found = compiled(BoundaryRule())
        shown = np.where(true == VOID, 1, true)
        targets = metrics.prepare(jnp.asarray(shown), jnp.asarray(true != VOID)[..., None])
        wanted = found(jnp.asarray(predicted), jnp.asarray(true))[0]
        for metric in METRICS:
            assert float(metrics.score(metric, jnp.asarray(predicted), targets)) == float(wanted[metric])

    def test_a_label_beyond_the_classes_is_void(self):
        true = CASES["blobs"][1]
        metrics, _ = compiled(BoundaryRule())
        for other in (NUM_CLASSES, 200, -1):
            replaced = metrics.prepare(jnp.asarray(np.where(true == VOID, other, true)))
            jax.tree.map(np.testing.assert_array_equal, replaced, metrics.prepare(jnp.asarray(true)))


class TestPieces:
    def states(self):
        _, found = compiled(BoundaryRule())
        predicted, true = (np.concatenate([pair[i] for pair in CASES.values()]) for i in (0, 1))
        pieces = [found(jnp.asarray(p), jnp.asarray(t))[2] for p, t in CASES.values()]
        return scores(predicted, true, NUM_CLASSES), pieces

    def test_any_order_of_pieces_gives_the_same(self):
        metrics, _ = compiled(BoundaryRule())
        wanted, pieces = self.states()
        whole = metrics.compute(metrics.merge(pieces))
        for metric, value in wanted.items():
            assert float(whole[metric]) == pytest.approx(value, rel=1e-6), metric
        for seed in range(3):
            mixed = [pieces[i] for i in np.random.default_rng(seed).permutation(len(pieces))]
            apart = metrics.merge([metrics.merge(mixed[:4]), metrics.merge(mixed[4:])])
            again = metrics.compute(apart)
            assert all(float(again[metric]) == float(whole[metric]) for metric in METRICS)

    def test_one_batch_after_the_other_gives_the_same(self):
        metrics, _ = compiled(BoundaryRule())
        update = jax.jit(lambda state, p, t: metrics.update(state, p, metrics.prepare(t)))
        state = metrics.start()
        for predicted, true in CASES.values():
            state = update(state, jnp.asarray(predicted), jnp.asarray(true))
        whole = metrics.compute(metrics.merge(self.states()[1]))
        assert {k: float(v) for k, v in metrics.compute(state).items()} == {k: float(v) for k, v in whole.items()}

    @pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")
    def test_devices_are_merged_by_their_sum(self):
        metrics, _ = compiled(BoundaryRule())
        _, pieces = self.states()
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pieces[:2])
        merged = jax.pmap(lambda state: jax.lax.psum(state, "devices"), "devices", devices=jax.devices()[:2])(stacked)
        found = metrics.compute(jax.tree.map(lambda leaf: leaf[1], merged))
        wanted = metrics.compute(metrics.merge(pieces[:2]))
        assert all(float(found[metric]) == float(wanted[metric]) for metric in METRICS)


class TestProtocol:
    """One sample at a time, many predictions of it at once."""

    RANDOM = np.random.default_rng(5)
    PREDICTIONS = jnp.asarray(RANDOM.random((6, 3, 17, 23, NUM_CLASSES)), jnp.float32)

    def targets(self, metrics):
        return metrics.prepare(jnp.asarray(CASES["one image void"][1]))

    @pytest.mark.parametrize("name", METRICS)
    def test_mapped_is_looped_and_is_the_definition(self, name):
        metrics, _ = compiled(BoundaryRule())
        targets = self.targets(metrics)

        @jax.jit
        def sample(prediction, targets):
            return metrics.score(name, prediction[None], jax.tree.map(lambda leaf: leaf[None], targets))

        mapped = jax.jit(jax.vmap(jax.vmap(sample), in_axes=(0, None)))(self.PREDICTIONS, targets)
        looped = [
            [sample(one[i], jax.tree.map(lambda leaf, i=i: leaf[i], targets)) for i in range(3)] for one in self.PREDICTIONS[:2]
        ]
        np.testing.assert_allclose(mapped[:2], np.array(looped), rtol=3e-7)  # counts are equal, their means are rounded
        true = CASES["one image void"][1]
        for i in (0, 2):
            predicted = np.asarray(self.PREDICTIONS[:, i]).argmax(-1)
            wanted = [scores(one[None], true[i : i + 1], NUM_CLASSES)[name] for one in predicted]
            np.testing.assert_allclose(mapped[:, i], wanted, rtol=1e-5)
        assert not np.any(mapped[:, 1])

    def test_samples_that_cannot_be_judged_are_known(self):
        metrics, _ = compiled(BoundaryRule())
        true = np.array(CASES["one image void"][1])
        true[2] = 3
        targets = metrics.prepare(jnp.asarray(true))
        for name in METRICS:
            assert metrics.can_be_judged(name, targets).tolist() == [True, False, not name.startswith("boundary")], name

    def test_a_network_that_broke_down_scores_nothing(self):
        metrics, _ = compiled(BoundaryRule())
        broken = jnp.full((3, 17, 23, NUM_CLASSES), jnp.nan)
        flat = metrics.prepare(jnp.zeros((3, 17, 23), jnp.int32))
        assert float(metrics.score("global_accuracy", broken, flat)) == 0
        assert float(metrics.score("global_accuracy", broken.at[..., 1].set(9.0), flat)) == 0
        # One such position is wrong, and the others stand.
        one = jnp.zeros((1, 2, 2, NUM_CLASSES)).at[0, 0, 0, 2].set(jnp.nan)
        assert float(metrics.score("global_accuracy", one, metrics.prepare(jnp.zeros((1, 2, 2), jnp.int32)))) == 0.75


class TestExactness:
    def test_counts_beyond_what_floats_and_32_bits_hold(self):
        """4,000 updates of one wrong and 2^20 - 1 right positions: 4 x 10^9 in all, told apart to the last one."""
        metrics = SegmentationMetrics(2, ("global_accuracy",))

        @jax.jit
        def many(state):
            part = {"right": jnp.array([2**20 - 1, 0]), "true": jnp.array([2**20, 0])}

            def step(state, _):
                return {name: add_exactly(state[name], part[name]) for name in state}, None

            return jax.lax.scan(step, state, length=4000)[0]

        state = jax.tree.map(np.asarray, many(metrics.start()))
        exact = {name: int(high[0]) * 2**20 + int(low[0]) for name, (high, low) in state.items()}
        assert exact == {"right": 4000 * (2**20 - 1), "true": 4000 * 2**20}
        assert float(metrics.compute(state)["global_accuracy"]) == pytest.approx(1 - 2.0**-20, abs=1e-7)


class TestMistakes:
    def one_line(self, function, *words):
        with pytest.raises(UserError) as error:
            function()
        assert "\n" not in str(error.value)
        for word in words:
            assert word in str(error.value)

    def test_they_are_one_line(self):
        metrics = SegmentationMetrics(NUM_CLASSES)
        targets = metrics.prepare(jnp.zeros((1, 4, 5), jnp.int32))
        self.one_line(lambda: SegmentationMetrics(1), "num_classes", "2 to 255", "1")
        self.one_line(lambda: SegmentationMetrics(256), "num_classes", "256")
        self.one_line(lambda: SegmentationMetrics(3, ("mean_iuo",)), "mean_iuo", "mean_iou")
        self.one_line(lambda: BoundaryRule(trimap_width=-1), "trimap_width", "-1")
        self.one_line(lambda: BoundaryRule(void="dropped"), "dropped", "counted", "ignored")
        self.one_line(lambda: metrics.prepare(jnp.zeros((1, 4, 5))), "integers [N, H, W]", "float32")
        self.one_line(lambda: metrics.score("mean_iou", jnp.zeros((1, 4, 5, 3)), targets), "4 classes", "[1, 4, 5, 3]")
        self.one_line(lambda: metrics.score("mean_iou", jnp.zeros((1, 5, 5, 4)), targets), "[1, 4, 5]", "[1, 5, 5]")
        self.one_line(lambda: metrics.score("iou", jnp.zeros((1, 4, 5, 4)), targets), "iou", "mean_iou")

    def test_titles_name_the_distances(self):
        assert metric_title("boundary_iou", BoundaryRule(trimap_width=3)) == "boundary IoU (trimap, 3 pixels)"
        assert metric_title("boundary_f1", BoundaryRule(tolerance=2)) == "boundary F1 (within 2 pixels)"
        assert metric_title("mean_iou", BoundaryRule()) == "mIoU"
