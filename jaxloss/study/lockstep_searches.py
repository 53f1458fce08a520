"""The searches in lock-step of one run: at which rate, and one for each division and seed of the comparison."""

import functools

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.runs.metrics import MetricWriter
from jaxloss.runs.rounds import RUNS
from jaxloss.search.lockstep import LockstepLoop, LockstepPlan
from jaxloss.search.lockstep_settings import GIVEN, RIVAL
from jaxloss.study.experiment import Experiment


class LockstepSearches:
    """Carries them out; the archive has what is done already."""

    def __init__(self, experiment: Experiment, rival_rate: float | None):
        """Of a run; `rival_rate` is the tuned rate of the first hand-crafted loss, where there is one."""
        self.experiment, self.settings, self._rival_rate = experiment, experiment.plan.lockstep, rival_rate

    def run(self, learns: bool) -> list[LockstepLoop]:
        """A search for each division and seed, which have ended; without learning where `learns` is False.

        One that no copy ever came through has the network that it began with.

        Raises:
          UserError: of those with learning none has trained a network, since all copies met NaN from the first round on.
        """
        rate = self.rate(learns)
        self.experiment.progress.message(f"networks of searches {'with' if learns else 'without'} learning: rate {rate:.3g}")
        names = [f"lockstep_{'' if learns else 'random_'}{index}" for index in range(len(self._pairs))]
        # The page shows these; searches for the rate stay in the archive.
        archive = self.experiment.run.archive
        known = archive.state(RUNS) or []
        if new := [name for name in names if name not in known]:
            archive.commit(state={RUNS: [*known, *new]})
        loops = []
        for index, (name, (division, seed)) in enumerate(zip(names, self._pairs, strict=True)):
            metrics = self.experiment.run.metrics if learns and index == 0 else None
            loops.append(self._search(name, rate, seed, division, learns, metrics))
        if learns and not any(has_trained(loop) for loop in loops):
            raise UserError(
                f"every copy of the first {self.settings.most_failures} rounds of {' and '.join(names)} met NaN or infinity at "
                f"the rate {rate:.3g}: lower training.learning_rate or comparison.learning_rate_high, or look for NaN in the data"
            )
        return loops

    @functools.cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        return self.experiment.plan.comparison.test_pairs

    def rate(self, learns: bool) -> float:
        """The learning rate of the networks, see `LockstepSettings.rate`."""
        if self.settings.rate == GIVEN:
            return self.experiment.config.training.learning_rate
        return self._rival_rate if self.settings.rate == RIVAL else self._searched_rate(learns)

    def _searched_rate(self, learns: bool) -> float:
        """The best of a few rates, each by one whole search on the first division, all from one seed of their own."""
        comparison, count = self.experiment.plan.comparison, self.settings.rate_searches
        low, high = np.log(comparison.learning_rate_low), np.log(comparison.learning_rate_high)
        rates = np.exp(low + (high - low) * (np.arange(count) + 0.5) / count)
        loops = []
        for index, rate in enumerate(map(float, rates)):
            name = f"lockstep_rate_{'' if learns else 'random_'}{index}"
            seed, division = comparison.first_tuning_seed, comparison.divisions[0]
            loops.append(self._search(name, rate, seed, division, learns))
        return max(loops, key=lambda loop: last_reward(loop) if has_trained(loop) else -1.0).plan.learning_rate

    def _search(
        self, name: str, rate: float, seed: int, division: int, learns: bool, metrics: MetricWriter | None = None
    ) -> LockstepLoop:
        """One search, which has ended; only one of a run draws curves, since the steps of a metric writer go up, once."""
        experiment, settings = self.experiment, self.settings
        plan = LockstepPlan(
            name=name,
            num_samples=settings.num_samples,
            learning_rate=rate,
            seed=seed,
            division=division,
            epochs_per_round=settings.epochs_per_round,
            learns=learns,
            most_failures=settings.most_failures,
        )
        archive, checkpoints = experiment.run.archive, experiment.run.checkpoints
        loop = LockstepLoop(plan, experiment.space, experiment.execution, archive, checkpoints, experiment.progress, metrics)
        loop.run()
        return loop


def has_trained(loop: LockstepLoop) -> bool:
    """Whether a copy of any of its rounds came through."""
    return loop.state.checkpoint is not None


def last_reward(loop: LockstepLoop) -> float:
    """Of the copy that went on at last, in a search that `has_trained`."""
    return next(one.best for one in reversed(loop.state.rounds) if one.best is not None)
