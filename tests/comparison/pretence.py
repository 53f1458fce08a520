"""Contenders, and a comparison of them in which nothing is trained."""

import math

import numpy as np

from jaxloss.cli.progress import ConsoleProgress
from jaxloss.spaces.families import family
from jaxloss.study.comparison import Comparison, ComparisonSettings
from jaxloss.study.contender import FOUND, HANDCRAFTED, Contender
from jaxloss.systems.autoloss_zero.space import autoloss_zero
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
SETTINGS = ComparisonSettings(tuning_trainings=11, tuning_finalists=2, tuning_seeds=3, test_seeds=3, rank_seeds=2).drawn(0)
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


def comparison(archive, execution=None, settings=SETTINGS, equal_losses=None):
    return Comparison(execution or Pretence(), archive, settings, ConsoleProgress(quiet=True), equal_losses)


def all_stages(compared, contenders=CONTENDERS):
    compared.rank(contenders[:2], 0.3, "rank")
    tunings = compared.tune(contenders, 0.3)
    points, scores = [one.point for one in tunings], [one.score for one in tunings]
    return points, compared.test(contenders, points, scores, "test tuned")
