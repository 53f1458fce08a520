"""An honest comparison: equal tuning for all, the test split last, differences in pairs, nothing trained twice."""

import collections
import dataclasses
import math
import types

import numpy as np
import pytest
from scipy import stats

from jaxloss.cli.progress import ConsoleProgress
from jaxloss.config import default_config
from jaxloss.runs import Archive
from jaxloss.spaces.families import family
from jaxloss.spaces.handcrafted_margin import MARGIN_FAMILIES
from jaxloss.study.comparison import Comparison, ComparisonSettings, different, mean_interval, paired_difference
from jaxloss.study.comparison import TestResult as Result  # pytest would collect it by its own name
from jaxloss.study.contender import FOUND, GIVEN, HANDCRAFTED, Contender, Setting, tuning_settings
from jaxloss.study.experiment import Experiment
from jaxloss.study.tables import difference_rows
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.base import SEARCH_EVAL, TEST
from jaxloss.tasks.state import Outcome

SPACE = autoloss_zero()
FORMULA = "Neg(Mul(target, Log(prediction)))"
CONTENDERS = [
    Contender("found 1", FOUND, SPACE, FORMULA),
    Contender("found 2", FOUND, SPACE, "Neg(Mul(target, prediction))"),
    Contender("cross_entropy", HANDCRAFTED, family("cross_entropy")),
    Contender("focal", HANDCRAFTED, family("focal")),
    Contender("sce", HANDCRAFTED, family("sce")),
]
SETTINGS = ComparisonSettings(tuning_trainings=11, tuning_finalists=2, tuning_seeds=3, test_seeds=3, rank_seeds=2)
BEST_RATE = 0.1


class Pretence:
    """Trains nothing: a loss is the better the nearer its rate is to 0.1, with some noise by seed and division."""

    def __init__(self, score=None):
        self.trials, self.score = [], score or self.by_rate

    @staticmethod
    def by_rate(trial):
        noise = np.random.default_rng((trial.start, trial.division)).normal(scale=0.01)
        return 0.9 - 0.1 * abs(math.log10(trial.learning_rate / BEST_RATE)) + noise

    def run(self, trials):
        for trial in trials:
            self.trials.append(trial)
            score = self.score(trial)
            yield Outcome(score, {} if score is None else {"accuracy": score}, 10, score is not None), 0.0


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive.sqlite") as archive:
        yield archive


def comparison(archive, execution=None, settings=SETTINGS):
    return Comparison(execution or Pretence(), archive, settings, ConsoleProgress(quiet=True))


def all_stages(compared, contenders=CONTENDERS):
    compared.rank(contenders[:2], 0.3, "rank")
    settings, scores = zip(*compared.tune(contenders, 0.3), strict=True)
    return settings, compared.test(contenders, settings, scores, "test tuned")


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
    (plain, focal) = (tuning_settings(one, 16, 0.01, 1.0) for one in CONTENDERS[2:4])
    np.testing.assert_allclose([one.learning_rate for one in plain], np.geomspace(0.01, 1, 16))
    rates, gammas = np.array([(one.learning_rate, one.hyperparameters["gamma"]) for one in focal]).T
    for positions in (np.log10(rates) / 2 + 1, (gammas - 0.25) / 4.75):
        # Every quarter of either range holds about a quarter of the settings.
        assert np.all((positions >= 0) & (positions <= 1))
        assert all(3 <= count <= 5 for count in np.histogram(positions, 4, (0, 1))[0])


def test_margin_losses_are_tuned_over_the_same_rates_and_scales():
    """Those with a margin over different margins besides: a loss is not ahead for having met a better pair."""

    def pairs(contender):
        return [(one.learning_rate, one.hyperparameters["log2_s"]) for one in tuning_settings(contender, 12, 0.03, 1.0)]

    found = pairs(Contender("found 1", FOUND, autoloss_gms(), "t: x | n: x | log2_s: 4"))
    for name, rival in MARGIN_FAMILIES.items():
        np.testing.assert_allclose(pairs(Contender(name, HANDCRAFTED, rival)), found)


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
        assert result.setting == setting
        assert set(result.scores) == {(division, SETTINGS.seed + 2000 + seed) for division in (0, 1) for seed in range(3)}
        rows = [row for row in archive.trainings("test tuned") if row.loss == result.contender.identity]
        assert {row.learning_rate for row in rows} == {setting.learning_rate}
        assert result.scores == {(row.division, row.seed): row.score for row in rows}


def test_ranking_is_by_the_mean_over_fresh_seeds(archive):
    """What led by luck on one seed falls back."""
    quality = {FORMULA: {10_000: 0.95, 10_001: 0.5}, "Neg(Mul(target, prediction))": {10_000: 0.8, 10_001: 0.8}}
    texts = {SPACE.encode(SPACE.parse(text))[SPACE.branches[0].name].opcodes.tobytes(): text for text in quality}

    def score(trial):
        return quality[texts[trial.encoded["classification"].opcodes.tobytes()]][trial.start]

    ranked = comparison(archive, Pretence(score)).rank(CONTENDERS[:2], 0.3, "rank")
    assert [(one.contender.name, one.score) for one in ranked] == [("found 2", 0.8), ("found 1", pytest.approx(0.725))]


def ranked_texts(archive, quality, execution=Pretence):
    """Formula and `same_as` of formulas with given scores on the seeds, best first."""
    texts = {SPACE.encode(SPACE.parse(text))["classification"].opcodes.tobytes(): text for text in quality}

    def score(trial):
        return quality[texts[trial.encoded["classification"].opcodes.tobytes()]][trial.start - SETTINGS.seed]

    (count,) = {len(scores) for scores in quality.values()}
    settings = dataclasses.replace(SETTINGS, rank_seeds=count)
    contenders = [Contender(text, FOUND, SPACE, text) for text in quality]
    ranked = comparison(archive, execution(score), settings).rank(contenders, 0.3, "rank")
    return [(one.contender.formula, one.same_as) for one in ranked]


def test_what_scores_alike_on_every_seed_is_one_loss(archive):
    quality = {
        FORMULA: [0.75, 0.5, 1.0, 0.25, 0.5],
        "Neg(Mul(target, prediction))": [0.75, 0.5, 1.0, 0.25, 0.5],
        "Tanh(prediction)": [0.5, 0.75, 1.0, 0.25, 0.5],  # the same mean
        "Abs(prediction)": [None] * 5,
        "Exp(prediction)": [None] * 5,
    }
    copies = {"Neg(Mul(target, prediction))": FORMULA}
    expected = [(text, copies.get(text)) for text in quality]

    class Killed(Pretence):
        def run(self, trials):
            for number, done in enumerate(super().run(trials)):
                if number == 10:
                    raise KeyboardInterrupt
                yield done

    with pytest.raises(KeyboardInterrupt):
        ranked_texts(archive, quality, Killed)
    assert ranked_texts(archive, quality) == expected
    # The stored scores tell the same without any training.
    assert ranked_texts(archive, quality, lambda score: None) == expected


def test_a_copy_takes_no_place_among_the_found(archive):
    texts = (FORMULA, "Neg(Mul(target, prediction))", "Abs(prediction)")
    third = SPACE.encode(SPACE.parse(texts[2]))["classification"].opcodes.tobytes()

    def score(trial):
        lower = 0.3 * (trial.encoded["classification"].opcodes.tobytes() == third)
        return 0.9 - 0.1 * (trial.start - SETTINGS.seed) - lower

    compared = comparison(archive, Pretence(score), dataclasses.replace(SETTINGS, rank_seeds=4))
    loop = types.SimpleNamespace(search=types.SimpleNamespace(best=lambda: [types.SimpleNamespace(text=text) for text in texts]))
    experiment = types.SimpleNamespace(config=default_config(), space=SPACE, comparison=compared)
    ranked = Experiment.rank(experiment, loop, FOUND, "rank")
    assert [one.contender.name for one in ranked] == ["found 1", texts[1], "found 2"]
    assert [one.formula for one in different(ranked)] == [texts[0], texts[2]]
    experiment.config.search.seeds = (f" {texts[2]}",)
    assert [one.contender.name for one in Experiment.rank(experiment, loop, FOUND, "rank")][2] == "found 2 (a seed)"


@pytest.mark.parametrize("scores", [[0.7, 0.9, 0.8], [0.9, 0.9, 0.8, 0.9, 0.9, 0.7]])
def test_few_or_coarse_equal_scores_are_chance(archive, scores):
    quality = {FORMULA: scores, "Neg(Mul(target, prediction))": scores}
    assert ranked_texts(archive, quality) == [(text, None) for text in quality]


# --- statistics --------------------------------------------------------------------------------------------------------------


def result(name, values):
    return Result(Contender(name, GIVEN, SPACE, FORMULA), Setting(0.1), 0.5, {(0, i): x for i, x in enumerate(values)})


@pytest.mark.parametrize("count", [2, 5, 10])
def test_intervals_are_those_of_the_paired_t_test(count):
    random = np.random.default_rng(count)
    first, second = random.normal(0.9, 0.02, count), random.normal(0.88, 0.02, count)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    found = paired_difference(result("a", first), result("b", second))
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    single = stats.ttest_1samp(first, 0).confidence_interval(0.95)
    assert (mean_interval(first).low, mean_interval(first).high) == (pytest.approx(single.low), pytest.approx(single.high))


def test_one_value_has_an_interval_without_width():
    assert mean_interval([0.7]) == mean_interval([0.7])
    assert (mean_interval([0.7]).low, mean_interval([0.7]).high, mean_interval([0.7]).count) == (0.7, 0.7, 1)


def test_pairs_must_match():
    with pytest.raises(ValueError, match="same divisions and seeds"):
        paired_difference(result("a", [0.1, 0.2]), result("b", [0.1]))


@pytest.mark.parametrize(
    ("shift", "verdict", "not_behind"), [(0.1, "leads", True), (0.0, "ties", True), (-0.1, "is behind", False)]
)
def test_verdicts(shift, verdict, not_behind):
    noise = np.array([0.001, -0.001, 0.002, -0.002, 0.0])
    (row,) = difference_rows(result("a", 0.8 + shift + noise), [result("b", 0.8 - noise)], margin=0.01)
    assert (row["verdict"], row["not_behind"], row["pairs"]) == (verdict, not_behind, 5)
    (strict,) = difference_rows(result("a", 0.8 + shift + noise), [result("b", 0.8 - noise)], margin=0.0)
    assert strict["not_behind"] == (verdict == "leads")


def test_a_stopped_training_scores_nothing(archive):
    execution = Pretence(lambda trial: None if trial.start % 2 else 0.8)
    (result,) = comparison(archive, execution).test(CONTENDERS[:1], [Setting(0.1)], [math.nan], "test")
    assert sorted(set(result.scores.values())) == [0.0, 0.8]
    assert [row.finite for row in archive.trainings()] == [row.score is not None for row in archive.trainings()]


def test_the_best_rival_takes_part_once_more_with_the_trainings_of_a_search(archive):
    execution = Pretence(lambda trial: 0.9 if trial.family.name == "focal" and trial.learning_rate < 0.02 else 0.5)
    experiment = types.SimpleNamespace(config=default_config(), comparison=comparison(archive, execution))
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
    results = comparison(archive, execution).test(twins, [one[0], other[0]], [0.0, 0.0], "test")
    assert results[0].scores == results[1].scores
    assert len(execution.trials) == 11 + 6
