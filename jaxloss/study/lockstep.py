"""A run that learns a loss while the network trains: the searches, what is compared with them, and the test.

1. The rivals are tuned, as in any comparison; where the config asks for it, so is the rate of the searches.
2. A search for each division and seed of the comparison, and one more without learning.
3. The test split is opened: the networks of the searches as they are, the controls, and the tuned rivals.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

from jaxloss.runs import atomic
from jaxloss.search.lockstep import LockstepLoop
from jaxloss.study.comparison import TUNED, Compared, TestResult
from jaxloss.study.contender import FOUND
from jaxloss.study.experiment import Experiment
from jaxloss.study.lockstep_methods import LEARNED, LockstepMethods, on_test
from jaxloss.study.lockstep_searches import LockstepSearches, has_trained, last_reward
from jaxloss.study.lockstep_summary import SCHEDULE, lockstep_summary, schedule_source
from jaxloss.study.shown import baseline_of, store_pictures


def lockstep_mode(experiment: Experiment) -> dict[str, Any]:
    """Learns, compares and tests."""
    settings, contenders = experiment.plan.lockstep, list(experiment.plan.contenders)
    experiment.check_baseline()
    tunings = experiment.comparison.tune(contenders, experiment.rate) if contenders else []
    searches = LockstepSearches(experiment, tunings[0].point.learning_rate if tunings else None)
    learned = searches.run(learns=True)
    random = searches.run(learns=False) if settings.random else []
    with contextlib.closing(LockstepMethods(experiment, learned)) as methods:
        listed = [*methods.of_searches(), *([methods.random(random)] if random else [])]
        if contenders:
            listed += methods.of_cost(contenders[0], tunings[0].point)
        # From here on the test split is open; nothing is chosen any more.
        results = [on_test(experiment, method) for method in listed]
    compared = experiment.compare(contenders) if contenders else Compared([], [])
    compared = Compared([*results, *compared.untuned], [*results, *compared.tuned])
    best = max(filter(has_trained, learned), key=last_reward)
    _show(experiment, compared.tuned)
    _keep(experiment, best)
    final_scores = experiment.final_scores(best.end.variables)
    return lockstep_summary(experiment, learned, random, best, compared, final_scores)


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
