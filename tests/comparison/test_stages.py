"""The stages of a comparison: the test split last, and nothing trained twice."""

import collections
import math

import pytest

from jaxloss.study.contender import FOUND, Contender, TuningPoint
from jaxloss.tasks.base import SEARCH_EVAL, TEST
from tests.comparison.pretence import CONTENDERS, FORMULA, SETTINGS, SPACE, Pretence, all_stages, comparison

# --- what may be seen when ---------------------------------------------------------------------------------------------------


def test_the_test_split_is_opened_last(archive):
    all_stages(comparison(archive))
    rows = archive.trainings()
    assert [row.evaluated_on for row in rows] == sorted((row.evaluated_on for row in rows), key=[SEARCH_EVAL, TEST].index)
    assert {row.stage for row in rows if row.evaluated_on == TEST} == {"test tuned"}
    by_stage = collections.defaultdict(set)
    for row in rows:
        by_stage[row.stage].add(row.seed)
    assert not by_stage["rank"] & by_stage["tune"]
    assert not (by_stage["rank"] | by_stage["tune"]) & by_stage["test tuned"]


def test_the_test_uses_the_tuned_setting_on_all_seeds_and_divisions(archive):
    settings, results = all_stages(comparison(archive))
    for setting, result in zip(settings, results, strict=True):
        assert result.point == setting
        assert set(result.scores) == {(division, SETTINGS.seed + 2000 + seed) for division in (0, 1) for seed in range(3)}
        rows = [row for row in archive.trainings("test tuned") if row.loss == result.contender.identity]
        assert {row.learning_rate for row in rows} == {setting.learning_rate}
        assert result.scores == {(row.division, row.seed): row.score for row in rows}


# --- statistics --------------------------------------------------------------------------------------------------------------


def test_a_stopped_training_scores_nothing(archive):
    execution = Pretence(lambda trial: None if trial.start % 2 else 0.8)
    (result,) = comparison(archive, execution).test(CONTENDERS[:1], [TuningPoint(0.1)], [math.nan], "test")
    assert sorted(set(result.scores.values())) == [0.0, 0.8]
    assert [row.finite for row in archive.trainings()] == [row.score is not None for row in archive.trainings()]


# --- nothing is trained twice ------------------------------------------------------------------------------------------------


def test_a_second_call_trains_nothing(archive):
    first = all_stages(comparison(archive))
    again = Pretence()
    assert all_stages(comparison(archive, again)) == first
    assert again.trials == []


def test_a_killed_comparison_goes_on_where_it_was(archive):
    class Killed(Pretence):
        def run(self, trials):
            for number, done in enumerate(super().run(trials)):
                if len(self.trials) == 17:
                    raise KeyboardInterrupt(number)
                yield done

    with pytest.raises(KeyboardInterrupt):
        all_stages(comparison(archive, Killed()))
    kept = len(archive.trainings())
    assert kept == 16
    rest = Pretence()
    all_stages(comparison(archive, rest))
    assert kept + len(rest.trials) == len(archive.trainings()) == 4 + 55 + 30


def test_one_formula_under_two_names_is_trained_once(archive):
    execution = Pretence()
    twins = [CONTENDERS[0], Contender("random search", FOUND, SPACE, FORMULA)]
    (one, other) = comparison(archive, execution).tune(twins, 0.3)
    assert one == other
    assert len(execution.trials) == 11
    results = comparison(archive, execution).test(twins, [one.point, other.point], [0.0, 0.0], "test")
    assert results[0].scores == results[1].scores
    assert len(execution.trials) == 11 + 6
