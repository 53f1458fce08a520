"""Equal tuning for all: as many trainings, over the same ranges, with fresh seeds in the finals."""

import collections
import dataclasses
import math
import types

import numpy as np
import pytest

from jaxloss.config import default_config
from jaxloss.spaces.handcrafted_margin import MARGIN_FAMILIES
from jaxloss.study.contender import FOUND, HANDCRAFTED, Contender, tuning_points
from jaxloss.study.experiment import Experiment
from jaxloss.study.tables import difference_rows
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
    """From a grid over three decades the two nearest to the best go to the finals, and the better one wins."""
    for contender, (setting, score) in zip(CONTENDERS, comparison(archive).tune(CONTENDERS, 0.3), strict=True):
        assert abs(math.log10(setting.learning_rate / BEST_RATE)) < 0.5, contender.name
        rows = [row for row in archive.trainings("tune") if row.loss == contender.identity]
        finals = [row.score for row in rows[5:] if row.learning_rate == setting.learning_rate]
        assert score == pytest.approx(np.mean(finals[-3:]))
        assert set(setting.hyperparameters) == set(contender.tuning_ranges)


def test_finals_use_fresh_seeds(archive):
    comparison(archive).tune(CONTENDERS[:1], 0.3)
    rows = archive.trainings("tune")
    wide, finals = rows[:5], rows[5:]
    assert len({row.learning_rate for row in wide}) == 5
    assert len({row.learning_rate for row in finals}) == 2
    assert not {row.seed for row in wide} & {row.seed for row in finals}
    assert len({row.seed for row in finals}) == 3


def test_the_untuned_loss_may_be_among_its_settings(archive):
    """In place of another one: the number of trainings stays."""
    for index, settings in enumerate((SETTINGS, dataclasses.replace(SETTINGS, tune_untuned=True))):
        execution = Pretence()
        comparison(archive, execution, settings).tune(CONTENDERS[3:4], 0.123 + index)
        own = CONTENDERS[3].default(0.123 + index)
        asked = [row for row in archive.trainings() if row.learning_rate == own.learning_rate]
        assert [dict(row.hyperparameters) for row in asked[:1]] == [dict(own.hyperparameters)] * index


def test_settings_cover_the_ranges():
    (plain, focal) = (tuning_points(one, 16, 0.01, 1.0) for one in CONTENDERS[2:4])
    np.testing.assert_allclose([one.learning_rate for one in plain], np.geomspace(0.01, 1, 16))
    rates, gammas = np.array([(one.learning_rate, one.hyperparameters["gamma"]) for one in focal]).T
    for positions in (np.log10(rates) / 2 + 1, (gammas - 0.25) / 4.75):
        # Every quarter of either range holds about a quarter of the settings.
        assert np.all((positions >= 0) & (positions <= 1))
        assert all(3 <= count <= 5 for count in np.histogram(positions, 4, (0, 1))[0])


def test_margin_losses_are_tuned_over_the_same_rates_and_scales():
    """Those with a margin over different margins besides: a loss is not ahead for having met a better pair."""

    def pairs(contender):
        return [(one.learning_rate, one.hyperparameters["log2_s"]) for one in tuning_points(contender, 12, 0.03, 1.0)]

    found = pairs(Contender("found 1", FOUND, autoloss_gms(), "t: x | n: x | log2_s: 4"))
    for name, rival in MARGIN_FAMILIES.items():
        np.testing.assert_allclose(pairs(Contender(name, HANDCRAFTED, rival)), found)


# --- statistics --------------------------------------------------------------------------------------------------------------


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
