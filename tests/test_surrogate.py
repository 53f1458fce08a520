"""The choice of what is trained, by the gradients of what was trained before."""

import numpy as np
import pytest

from jaxloss.runs import Archive, open_for_reading
from jaxloss.search.base import Individual
from jaxloss.search.settings import SurrogateSettings
from jaxloss.search.surrogate import SurrogateChooser, features, gaussian_process, normal_scores
from jaxloss.spaces.output_gradients import OutputGradients
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.fast import make_fast
from tests.launch.command import refusal, run
from tests.short_comparison import SHORT_COMPARISON
from tests.workshop import Stopped, StopsAfter, Workshop

LEARNS = [
    "Neg(Mul(target, Log(prediction)))",
    "Neg(Mul(target, prediction))",
    "Inv(Mul(target, prediction))",
    "Log(Inv(Mul(prediction, target)))",
]
UNLEARNS = [
    "Mul(target, prediction)",
    "Mul(target, Log(prediction))",
    "Neg(Inv(Mul(target, prediction)))",
    "Square(Mul(prediction, target))",
]


@pytest.fixture(scope="module")
def gradients():
    return OutputGradients(autoloss_zero(), make_fast().output_samples())


def evaluated(good, bad):
    texts = [(text, 0.9 - 0.001 * index) for index, text in enumerate(good)] + [(text, 0.1) for text in bad]
    return [Individual(index, text, score, True, trainings=1) for index, (text, score) in enumerate(texts)]


def test_what_pulls_as_the_good_ones_do_is_chosen(gradients):
    chooser = SurrogateChooser(gradients, SurrogateSettings(candidates=2, start_after=2, optimism=0.0))
    known = evaluated(LEARNS[:3], UNLEARNS[:3])
    assert chooser.choose(known, [UNLEARNS[3], LEARNS[3]]) == 1
    assert chooser.choose(known, [LEARNS[3], UNLEARNS[3]]) == 0
    # Told the opposite, it chooses the opposite.
    fresh = SurrogateChooser(gradients, SurrogateSettings(candidates=2, start_after=2, optimism=0.0))
    assert fresh.choose(evaluated(UNLEARNS[:3], LEARNS[:3]), [UNLEARNS[3], LEARNS[3]]) == 0


def test_optimism_tries_what_is_unlike_all_that_is_known(gradients):
    known = evaluated(LEARNS[:2], UNLEARNS[:2])
    twin, unknown = "Neg(Mul(target, Log(Abs(prediction))))", "Mean_nhw(Square(prediction))"
    careful, bold = (
        SurrogateChooser(gradients, SurrogateSettings(candidates=2, start_after=2, optimism=optimism))
        for optimism in (0.0, 100.0)
    )
    assert careful.choose(known, [twin, unknown]) == 0
    assert bold.choose(known, [twin, unknown]) == 1


def test_it_begins_after_the_first_candidates(gradients):
    chooser = SurrogateChooser(gradients, SurrogateSettings(candidates=7, start_after=5))
    assert [chooser.candidates(number) for number in (0, 4, 5, 100)] == [1, 1, 7, 7]


def test_features_are_finite_and_know_no_scale_but_in_one_number():
    random = np.random.default_rng(0)
    plain = random.standard_normal((1, 2, 3, 4))
    broken = plain.copy()
    broken[0, 0, 0, 0] = np.nan
    broken[0, 1, 1, 1] = np.inf
    huge = np.concatenate([plain, plain * 1e200, broken, np.zeros_like(plain)])
    found = features(huge)
    assert found.shape == (4, 25)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0, :-1], found[1, :-1], rtol=1e-5)
    assert found[1, -1] == 20
    assert features(5e-324 * np.ones((1, 1, 1, 1)))[0, -1] == -20
    assert features(10 * plain)[0, -1] - found[0, -1] == pytest.approx(np.log(10), rel=1e-4)
    assert not found[3].any()


def test_normal_scores_see_the_order_alone():
    assert normal_scores([0.1, 0.9, 0.5]) == pytest.approx(normal_scores([-np.inf, 2.0, 1.0]))
    tied = normal_scores([0.1, 0.1, 0.7, 0.9])
    assert tied[0] == tied[1] < tied[2] < tied[3]
    assert normal_scores([0.3]) == pytest.approx([0.0])


def test_a_gaussian_process_passes_through_what_it_knows_and_doubts_what_is_far():
    random = np.random.default_rng(0)
    known, values = random.standard_normal((12, 5)), random.standard_normal(12)
    predict = gaussian_process(known, values, np.full(12, 1e-6))
    mean, deviation = predict(np.concatenate([known, 1e3 + known[:1]]))
    np.testing.assert_allclose(mean[:12], values, atol=1e-3)
    assert deviation[:12].max() < 0.01
    assert mean[12] == pytest.approx(0.0, abs=1e-6)
    assert deviation[12] == pytest.approx(1.0)
    noisy, _ = gaussian_process(known, values, np.full(12, 10.0))(known)
    assert abs(noisy).max() < 0.5 * abs(values).max()


SEARCH = {"num_trainings": 8, "generation_size": 2, "evolution.immigrants": 0.5, "evolution.equivalents_breed": False}


@pytest.fixture(scope="module")
def workshop():
    workshop = Workshop()
    yield workshop
    workshop.execution.close()


def test_a_search_goes_on_after_any_training_as_undisturbed(workshop, tmp_path):
    samples = workshop.plan.task.output_samples()

    def chooser():
        return SurrogateChooser(OutputGradients(workshop.plan.space, samples), SurrogateSettings(candidates=3, start_after=2))

    expected = workshop.finished(tmp_path / "whole", chooser=chooser(), **SEARCH)
    assert any(row["reason"] == "not_promising" for row in expected["candidates"])
    for count in (5,):
        path = tmp_path / f"stopped {count}"
        with Archive(path) as archive, pytest.raises(Stopped):
            workshop.loop(archive, StopsAfter(workshop.execution, count), chooser(), **SEARCH).run()
        assert workshop.finished(path, chooser=chooser(), **SEARCH) == expected


@pytest.mark.slow
def test_a_run_chooses_and_its_control_does_not(tmp_path):
    path = tmp_path / "run"
    short = {**SHORT_COMPARISON, "comparison.handcrafted": "()", "filters.rejection.enabled": "false", "search.num_trainings": 5}
    overrides = [f"{key}={value}" for key, value in short.items()]
    assert run(path, "search.surrogate.candidates=3", "search.surrogate.start_after=2", *overrides) == 0
    with open_for_reading(path) as directory:
        passed_over = {row.search for row in directory.archive.candidates() if row.reason == "not_promising"}
    assert passed_over == {"evolution"}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("search.surrogate.optimism=3.0",), "config key search.surrogate.optimism does nothing in this run"),
        (("search.surrogate.candidates=0",), "config key search.surrogate.candidates must be at least 1"),
        (("search.evolution.immigrants=1.5",), "config key search.evolution.immigrants must be at most 1.0"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, capsys, overrides, says):
    assert says in refusal(tmp_path / "run", capsys, *overrides)
