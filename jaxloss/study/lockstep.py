"""A run that learns a loss while the network trains: the searches, what is compared with them, and the test.

1. The rivals are tuned, as in any comparison; networks of the searches train at the rate of the first of them.
2. A search for each division and seed of the comparison, and one more without learning.
3. The test split is opened: the networks of the searches as they are, the controls, and the tuned rivals.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.runs import atomic
from jaxloss.runs.rounds import RUNS
from jaxloss.search.lockstep import LockstepLoop, LockstepPlan
from jaxloss.study.comparison import Compared, TestResult
from jaxloss.study.contender import FOUND
from jaxloss.study.experiment import TUNED, Experiment
from jaxloss.study.lockstep_methods import LEARNED, LockstepMethods, on_test
from jaxloss.study.lockstep_summary import SCHEDULE, lockstep_summary, schedule_source
from jaxloss.study.shown import baseline_of, store_pictures


def lockstep_mode(experiment: Experiment) -> dict[str, Any]:
    """Learns, compares and tests."""
    settings, contenders = experiment.plan.lockstep, list(experiment.plan.contenders)
    experiment.check_baseline()
    tunings = experiment.comparison.tune(contenders, experiment.rate) if contenders else []
    rate = tunings[0].point.learning_rate if settings.tuned_rate else experiment.rate
    experiment.progress.message(f"the networks train at the rate {rate:.3g}")
    learned = _searched(experiment, rate, learns=True)
    random = _searched(experiment, rate, learns=False) if settings.random else []
    with contextlib.closing(LockstepMethods(experiment, rate, learned)) as methods:
        listed = [*methods.of_searches(), *([methods.random(random)] if random else [])]
        if contenders:
            listed += methods.of_cost(contenders[0], tunings[0].point)
        # From here on the test split is open; nothing is chosen any more.
        results = [on_test(experiment, method) for method in listed]
    compared = experiment.compare(contenders) if contenders else Compared([], [])
    compared = Compared([*results, *compared.untuned], [*results, *compared.tuned])
    best = best_loop(learned)
    _show(experiment, compared.tuned)
    _keep(experiment, best)
    final_scores = experiment.final_scores(best.end.variables)
    return lockstep_summary(experiment, learned, random, best, compared, final_scores)


def best_loop(loops: Sequence[LockstepLoop]) -> LockstepLoop:
    """The search whose network had the best reward at its end, on search_eval."""
    return max(loops, key=lambda loop: next(one.best for one in reversed(loop.state.rounds) if one.best is not None))


def _searched(experiment: Experiment, rate: float, learns: bool) -> list[LockstepLoop]:
    """A search for each division and seed, which have ended."""
    settings, pairs = experiment.plan.lockstep, experiment.plan.comparison.test_pairs
    names = [f"lockstep_{'' if learns else 'random_'}{index}" for index in range(len(pairs))]
    known = experiment.run.archive.state(RUNS) or []
    experiment.run.archive.commit(state={RUNS: list(dict.fromkeys([*known, *names]))})
    loops = []
    for index, (name, (division, seed)) in enumerate(zip(names, pairs, strict=True)):
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
        run = experiment.run
        # The steps of a metric writer go up, once.
        metrics = run.metrics if learns and index == 0 else None
        loop = LockstepLoop(
            plan, experiment.space, experiment.execution, run.archive, run.checkpoints, experiment.progress, metrics
        )
        loop.run()
        if loop.end is None:
            raise UserError(
                f"every copy of the first {settings.most_failures} rounds met NaN or infinity at the rate {rate:.3g}: lower "
                "comparison.learning_rate_high or training.learning_rate, or look for NaN in the data"
            )
        loops.append(loop)
    return loops


def _show(experiment: Experiment, results: Sequence[TestResult]) -> None:
    """Stores pictures of the first network that was searched with, its baseline before it."""
    first = next(one for one in results if one.contender.kind == FOUND and one.contender.name == LEARNED)
    shown = [one for one in (baseline_of(first, results), first) if one is not None]
    store_pictures(experiment.task, experiment.run.archive, TUNED, shown)


def _keep(experiment: Experiment, best: LockstepLoop) -> None:
    """Keeps the network, and its schedule as a loss that others can train with."""
    experiment.keep_network(best.end.variables)
    source = schedule_source(best)
    if source is not None:
        atomic.write_text(experiment.run.path / SCHEDULE, source)
