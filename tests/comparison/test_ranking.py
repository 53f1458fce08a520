"""The order of what a search found: by fresh seeds, and each loss once."""

import dataclasses
import types

import pytest

from jaxloss.config import default_config
from jaxloss.spaces.output_gradients import OutputGradients
from jaxloss.study.contender import FOUND, RANDOM_SEARCH, Contender
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.study.experiment import Experiment
from jaxloss.study.naming import named
from jaxloss.study.ranking import different
from jaxloss.tasks.fast import make_fast
from tests.comparison.pretence import CONTENDERS, FORMULA, SETTINGS, SPACE, Pretence, comparison


def test_ranking_is_by_the_mean_over_fresh_seeds(archive):
    """What led by luck on one seed falls back."""
    quality = {FORMULA: {10_000: 0.95, 10_001: 0.5}, "Neg(Mul(target, prediction))": {10_000: 0.8, 10_001: 0.8}}
    texts = {SPACE.encode(SPACE.parse(text))[SPACE.branches[0].name].opcodes.tobytes(): text for text in quality}

    def score(trial):
        return quality[texts[trial.encoded["classification"].opcodes.tobytes()]][trial.start]

    ranked = comparison(archive, Pretence(score)).rank(CONTENDERS[:2], 0.3, "rank")
    assert [(one.contender.name, one.score) for one in ranked] == [("found 2", 0.8), ("found 1", pytest.approx(0.725))]


def ranked_texts(archive, quality, execution=Pretence, equal=None):
    """Formula and `same_as` of formulas with given scores on the seeds, best first."""
    texts = {SPACE.encode(SPACE.parse(text))["classification"].opcodes.tobytes(): text for text in quality}

    def score(trial):
        return quality[texts[trial.encoded["classification"].opcodes.tobytes()]][trial.start - SETTINGS.seed]

    (count,) = {len(scores) for scores in quality.values()}
    settings = dataclasses.replace(SETTINGS, rank_seeds=count)
    contenders = [Contender(text, FOUND, SPACE, text) for text in quality]
    ranked = comparison(archive, execution(score), settings, equal).rank(contenders, 0.3, "rank")
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
    experiment = types.SimpleNamespace(
        config=default_config(), space=SPACE, comparison=compared, rate=0.1, plan=types.SimpleNamespace(seeds=())
    )
    ranked = Experiment.rank(experiment, loop, FOUND, "rank")
    assert [one.contender.name for one in ranked] == ["found 1", texts[1], "found 2"]
    assert [one.formula for one in different(ranked)] == [texts[0], texts[2]]
    experiment.plan.seeds = (f" {texts[2]}",)
    assert [one.contender.name for one in Experiment.rank(experiment, loop, FOUND, "rank")][2] == "found 2 (a seed)"
    control = Experiment.rank(experiment, loop, RANDOM_SEARCH, "rank")
    assert [one.contender.name for one in control][2] == "random search 2"


@pytest.mark.parametrize("scores", [[0.7, 0.9, 0.8], [0.9, 0.9, 0.8, 0.9, 0.9, 0.7]])
def test_few_or_coarse_equal_scores_are_chance(archive, scores):
    quality = {FORMULA: scores, "Neg(Mul(target, prediction))": scores}
    assert ranked_texts(archive, quality) == [(text, None) for text in quality]


# --- by the gradients of the network's outputs ---------------------------------------------------------------------------------

DRESS = "Add(prediction, Neg(Mul(target, prediction)))"
THREE = {DRESS: [0.9, 0.7, 0.8], "Neg(Mul(target, prediction))": [0.8, 0.7, 0.8], FORMULA: [0.6, 0.7, 0.8]}


def test_with_three_seeds_and_different_scores_gradients_tell_that_two_are_one(archive):
    equal = EqualLosses(OutputGradients(SPACE, make_fast().output_samples()))
    assert ranked_texts(archive, THREE) == [(text, None) for text in THREE]
    assert ranked_texts(archive, THREE, equal=equal) == [(DRESS, None), ("Neg(Mul(target, prediction))", DRESS), (FORMULA, None)]


def test_losses_with_equal_scores_are_two_where_their_gradients_say_so(archive):
    quality = {FORMULA: [0.75, 0.5, 1.0, 0.25, 0.5], DRESS: [0.75, 0.5, 1.0, 0.25, 0.5]}
    assert ranked_texts(archive, quality) == [(FORMULA, None), (DRESS, FORMULA)]
    equal = EqualLosses(OutputGradients(SPACE, make_fast().output_samples()))
    assert ranked_texts(archive, quality, equal=equal) == [(FORMULA, None), (DRESS, None)]


@pytest.mark.parametrize("seed", ["Neg(Mul(target, prediction))", f"Mul(2, {DRESS})", FORMULA])
def test_a_loss_that_was_given_is_not_passed_off_as_found_in_other_clothes(archive, seed):
    """The dress comes first, by chance, and the given formula behind it is a copy, or was not ranked at all."""
    equal = EqualLosses(OutputGradients(SPACE, make_fast().output_samples()), scale_free=True)
    ranked = comparison(archive, Pretence(lambda trial: 0.9), equal_losses=equal).rank(
        [Contender(text, FOUND, SPACE, text) for text in (DRESS, "Neg(Mul(target, prediction))")], 0.3, "rank"
    )
    (found,) = different(named(ranked, SPACE, (seed,), equal_losses=equal))
    assert found.name == ("found 1" if seed == FORMULA else "found 1 (a seed)")


def test_a_copy_that_was_given_names_its_loss_where_only_scores_tell(archive):
    quality = [0.75, 0.5, 1.0, 0.25]
    settings = dataclasses.replace(SETTINGS, rank_seeds=4)
    execution = Pretence(lambda trial: quality[trial.start - SETTINGS.seed])
    ranked = comparison(archive, execution, settings).rank(CONTENDERS[:2], 0.3, "rank")
    (found,) = different(named(ranked, SPACE, (CONTENDERS[1].formula,)))
    assert found.name == "found 1 (a seed)"
