"""Equal tuning for all: as many trainings, over the same ranges, with fresh seeds in the finals."""

import collections
import dataclasses
import math
import types

import jax
import numpy as np
import pytest

from jaxloss.config import default_config
from jaxloss.spaces.handcrafted_margin import MARGIN_FAMILIES
from jaxloss.study.contender import FOUND, HANDCRAFTED, SHORTENED, Contender
from jaxloss.study.experiment import Experiment
from jaxloss.study.tables import difference_rows
from jaxloss.study.tuning_points import edge_of, next_rate, spread_points
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from tests.comparison.pretence import BEST_RATE, CONTENDERS, SETTINGS, Pretence, comparison

# --- tuning ------------------------------------------------------------------------------------------------------------------


def test_every_contender_gets_the_same_number_of_trainings(archive):
    execution = Pretence()
    comparison(archive, execution).tune(CONTENDERS, 0.3)
    counts = collections.Counter(row.loss for row in archive.trainings("tune"))
    assert counts == dict.fromkeys([one.identity for one in CONTENDERS], 11)
    assert len(execution.trials) == 11 * len(CONTENDERS)


def test_tuning_finds_the_rate(archive):
    """From points over three decades the best goes to the finals, and wins there."""
    for contender, tuned in zip(CONTENDERS, comparison(archive).tune(CONTENDERS, 0.3), strict=True):
        assert abs(math.log10(tuned.point.learning_rate / BEST_RATE)) < 0.5, contender.name
        rows = [row for row in archive.trainings("tune") if row.loss == contender.identity]
        finals = [row.score for row in rows[5:] if row.learning_rate == tuned.point.learning_rate]
        assert tuned.score == pytest.approx(np.mean(finals[-3:]))
        assert set(tuned.point.hyperparameters) == set(contender.tuning_ranges)


def test_finals_use_fresh_seeds(archive):
    comparison(archive).tune(CONTENDERS[:1], 0.3)
    rows = archive.trainings("tune")
    wide, finals = rows[:5], rows[5:]
    assert len({row.learning_rate for row in wide}) == 5
    assert len({row.learning_rate for row in finals}) == 2
    assert not {row.seed for row in wide} & {row.seed for row in finals}
    assert len({row.seed for row in finals}) == 3


# --- the loss as it is -------------------------------------------------------------------------------------------------------


def points_of(archive, contender):
    rows = [row for row in archive.trainings("tune") if row.loss == contender.identity]
    return [(row.seed, row.division, row.learning_rate, dict(row.hyperparameters), row.score) for row in rows]


@pytest.mark.parametrize("trainings", [8, 11, 30])
def test_a_loss_as_it_is_is_tried_and_is_a_finalist(archive, trainings):
    """Also where it does worst of all."""
    settings = dataclasses.replace(SETTINGS, tuning_trainings=trainings)
    comparison(archive, None, settings).tune(CONTENDERS, 30.0)
    for contender in CONTENDERS:
        own, points = contender.default(30.0), points_of(archive, contender)
        assert points[0][2:4] == (own.learning_rate, dict(own.hyperparameters))
        finals = points[-6:]
        assert [one[2:4] for one in finals[:3]] == [points[0][2:4]] * 3
        assert [one[:2] for one in finals[:3]] == [one[:2] for one in finals[3:]]


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 20))])
def test_no_loss_is_worse_tuned_than_untuned(archive, seed):
    """On search_eval, whatever the scores: here they are nothing but luck."""

    def luck(trial):
        rate = int(1e6 * trial.learning_rate)
        return float(np.random.default_rng((seed, rate, trial.start, trial.division)).random())

    for contender, tuned in zip(CONTENDERS, comparison(archive, Pretence(luck)).tune(CONTENDERS, 0.3), strict=True):
        assert tuned.score >= tuned.untuned_score
        own, finals = contender.default(0.3), points_of(archive, contender)[-6:]
        untuned = [one[4] for one in finals if one[2] == own.learning_rate and one[3] == dict(own.hyperparameters)]
        assert tuned.untuned_score == pytest.approx(np.mean(untuned))


def test_without_evidence_a_loss_stays_as_it_is(archive):
    for contender, tuned in zip(CONTENDERS, comparison(archive, Pretence(lambda trial: 0.5)).tune(CONTENDERS, 0.3), strict=True):
        assert tuned.point == contender.default(0.3)


# --- where it is looked ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_points_lie_inside_the_ranges_and_in_every_part_of_them(count):
    (plain, focal) = (spread_points(one, count, 0.01, 1.0) for one in CONTENDERS[2:4])
    rates, gammas = np.array([(one.learning_rate, one.hyperparameters["gamma"]) for one in focal]).T
    middles = (np.arange(count) + 0.5) / count
    for positions in (np.log10(rates) / 2 + 1, (gammas - 0.25) / 4.75):
        np.testing.assert_allclose(np.sort(positions), middles)
    assert [one.learning_rate for one in plain] == list(rates)


def test_rates_and_hyperparameters_are_mixed():
    """Every quarter of the box of two ranges holds its share."""
    points = spread_points(CONTENDERS[3], 16, 0.01, 1.0)
    quarters = collections.Counter((one.learning_rate > 0.1, one.hyperparameters["gamma"] > 2.625) for one in points)
    assert set(quarters.values()) <= {3, 4, 5}
    assert len(quarters) == 4


def test_margin_losses_are_tuned_over_the_same_rates_and_scales():
    """Those with a margin over different margins besides: a loss is not ahead for having met a better pair."""

    def pairs(contender):
        return [(one.learning_rate, one.hyperparameters["log2_s"]) for one in spread_points(contender, 12, 0.03, 1.0)]

    found = pairs(Contender("found 1", FOUND, autoloss_gms(), "t: x | n: x | log2_s: 4"))
    for name, rival in MARGIN_FAMILIES.items():
        np.testing.assert_allclose(pairs(Contender(name, HANDCRAFTED, rival)), found)


def test_the_next_rate_lies_beyond_the_edge_or_in_the_wider_gap():
    rates = [0.1, 0.8, 0.2, 0.4]
    assert next_rate(rates, 0.1, 2.0) == pytest.approx(0.05)
    assert next_rate(rates, 0.8, 2.0) == pytest.approx(1.6)
    assert next_rate([0.1, 0.2, 1.6], 0.2, 2.0) == pytest.approx(math.sqrt(0.2 * 1.6))
    assert next_rate([0.01, 0.2, 0.3], 0.2, 2.0) == pytest.approx(math.sqrt(0.2 * 0.01))
    assert [edge_of(rates, rate) for rate in (0.1, 0.2, 0.8)] == ["lower", "", "upper"]


@pytest.mark.parametrize(("best", "edge"), [(40.0, "upper"), (8.0, ""), (0.001, "")])
def test_a_best_rate_at_the_edge_extends_the_range(archive, best, edge):
    """Within the number of trainings; what still lies at the edge of what was tried is marked."""

    def score(trial):
        return 0.9 - 0.1 * abs(math.log10(trial.learning_rate / best))

    settings = dataclasses.replace(SETTINGS, tuning_trainings=22)
    (tuned,) = comparison(archive, Pretence(score), settings).tune(CONTENDERS[:1], 0.3)
    rates = [row.learning_rate for row in archive.trainings("tune")][:16]
    assert len(set(rates)) == 16
    assert len(archive.trainings("tune")) == 22
    assert tuned.edge == edge
    low, high = settings.learning_rate_low, settings.learning_rate_high
    assert tuned.point.learning_rate > 2 * high or tuned.point.learning_rate < low
    if edge:
        assert tuned.point.learning_rate == max(rates)


@pytest.mark.parametrize(("wanted", "edges"), [(100.0, {"gamma": "upper"}), (-100.0, {"gamma": "lower"}), (2.0, {})])
def test_a_hyperparameter_at_the_edge_of_what_was_tried_is_marked(archive, wanted, edges):
    focal = next(one for one in CONTENDERS if one.name == "focal")

    def score(trial):
        (gamma,) = jax.tree.leaves(trial.encoded)
        return -abs(float(gamma) - wanted)

    settings = dataclasses.replace(SETTINGS, tuning_trainings=22)
    (tuned,) = comparison(archive, Pretence(score), settings).tune([focal], 0.3)
    assert tuned.other_edges == edges


def test_rates_are_as_they_were_given_where_the_range_is_one_rate(archive):
    settings = dataclasses.replace(SETTINGS, learning_rate_low=0.2, learning_rate_high=0.2)
    for tuned in comparison(archive, None, settings).tune(CONTENDERS, 0.2):
        assert (tuned.point.learning_rate, tuned.edge) == (0.2, "")
    assert {row.learning_rate for row in archive.trainings("tune")} == {0.2}


def test_a_spread_point_that_is_the_loss_as_it_is_gives_its_training_to_another(archive):
    """The middle of the range is the rate of the search, as often happens."""
    settings = dataclasses.replace(SETTINGS, tuning_trainings=11, learning_rate_low=0.01, learning_rate_high=1.0)
    assert 0.1 in [pytest.approx(point.learning_rate) for point in spread_points(CONTENDERS[2], 3, 0.01, 1.0)]
    comparison(archive, None, settings).tune(CONTENDERS[2:3], 0.1)
    rows = archive.trainings("tune")
    rates = [row.learning_rate for row in rows][:5]
    assert rates[0] == 0.1
    assert min(np.diff(np.log(sorted(rates)))) > 0.05
    assert len(rows) == 11


# --- the best rival -----------------------------------------------------------------------------------------------------------


def test_the_best_rival_takes_part_once_more_with_the_trainings_of_a_search(archive):
    execution = Pretence(lambda trial: 0.9 if trial.family.name == "focal" and trial.learning_rate < 0.02 else 0.5)
    experiment = types.SimpleNamespace(config=default_config(), comparison=comparison(archive, execution), rate=0.1)
    experiment.config.comparison.best_rival_trainings = 20
    untuned, tuned = Experiment.compare(experiment, CONTENDERS)
    label = "focal (20 tuning trainings)"
    for results in (untuned, tuned):
        assert [one.contender.label for one in results] == [*(one.name for one in CONTENDERS), label]
    # Its trainings are its own: what the loss met with fewer of them does not count.
    assert collections.Counter(row.loss for row in archive.trainings("tune"))[label] == 20
    assert tuned[-1].contender == dataclasses.replace(CONTENDERS[3], tuning_trainings=20)
    assert [row["second"] for row in difference_rows(tuned[0], tuned[1:], margin=0.01)][-1] == label
    experiment.config.comparison.best_rival_trainings = 0
    assert len(Experiment.compare(experiment, CONTENDERS)[0]) == len(CONTENDERS)


def test_where_only_the_rate_is_tuned_the_numbers_of_the_formula_stay():
    """A number that the loss cannot do without is part of every point."""
    formula = "t: x | n: x | log2_s: 4.5"
    contender = Contender("found 1 shortened", SHORTENED, autoloss_gms(), formula, rate_alone=True)
    points = spread_points(contender, 4, 0.01, 1.0)
    assert len({point.learning_rate for point in points}) == 4
    assert {point.hyperparameters["log2_s"] for point in points} == {4.5}
    for point in points:
        contender.encode(point)
