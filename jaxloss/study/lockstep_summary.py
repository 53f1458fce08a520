"""What the summary of a run says that learned a loss while networks trained. Nothing is trained here, and nothing stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.search.lockstep import LockstepLoop
from jaxloss.study.comparison import Compared
from jaxloss.study.contender import RIVALS
from jaxloss.study.experiment import Experiment
from jaxloss.study.lockstep_methods import LEARNED, RANDOM, best_formula
from jaxloss.study.lockstep_searches import has_trained, last_reward
from jaxloss.study.summary import add_descriptions, baseline_label, short_result
from jaxloss.study.tables import difference_rows, headline

# The file in the directory of a run that holds the losses of its kept network, epoch by epoch.
SCHEDULE = "learned_schedule.py"


def lockstep_summary(
    experiment: Experiment,
    learned: Sequence[LockstepLoop],
    random: Sequence[LockstepLoop],
    best: LockstepLoop,
    compared: Compared,
    final_scores: Mapping[str, float],
) -> dict[str, Any]:
    """The summary.

    Args:
      experiment: whose archive holds the trainings.
      learned: the searches, one for each division and seed.
      random: the same without learning.
      best: the search whose network is kept.
      compared: the networks of the searches first, then everything else.
      final_scores: of the network that is kept, by name.
    """
    rows, ranking = experiment.rows(*compared), _ranking(learned, best)
    for row in rows:
        if loops := {LEARNED: learned, RANDOM: random}.get(row["name"]):
            row["tuned"]["ended_early"] = sum(loop.ended_early for loop in loops)
    add_descriptions(experiment, [*ranking, *rows])
    first, *others = compared.tuned
    margin = experiment.config.comparison.margin
    judged = headline(first, others, margin)
    if judged["random_search"] is not None:
        judged["random_search"]["control"] = "the same without learning"
    return {
        "lockstep": {
            "best": best.plan.name,
            "schedule": SCHEDULE if best.space.distribution.write_schedule else None,
            "searches": [_search(loop) for loop in (*learned, *random)],
        },
        "seconds": {"training": sum(one.seconds for loop in (*learned, *random) for one in loop.state.rounds)},
        "ranking": ranking,
        "comparison": rows,
        "final_scores": dict(final_scores),
        "baselines": [short_result(result) for result in compared.tuned if result.contender.kind in RIVALS],
        "baseline": baseline_label(first, compared.tuned),
        "headline": judged,
        "differences": difference_rows(first, others, margin),
        "stopped_by_nan": experiment.stopped_by_nan(),
    }


def schedule_source(loop: LockstepLoop) -> str | None:
    """The losses that a search's network was trained with, as a Python module; None where its space cannot write it."""
    write = loop.space.distribution.write_schedule
    if write is None:
        return None
    steps_per_epoch = loop.execution.steps_per_epoch(loop.plan.division)
    stages = [(one.steps / steps_per_epoch, loop.space.parse(one.formula)) for one in loop.state.rounds if one.formula]
    docstring = (
        f"A loss that changes from epoch to epoch.\n\nLearned by jaxloss in the space {loop.space.name} while a network trained: "
        f"{len(stages)} rounds of {loop.plan.num_samples} copies, at the\nlearning rate {loop.plan.learning_rate:.4g}. Each loss "
        "is the one with which the copy was trained that went on."
    )
    return write(stages, docstring)


def _search(loop: LockstepLoop) -> dict[str, Any]:
    """What became of one search."""
    rounds = loop.state.rounds
    return {
        "name": loop.plan.name,
        "learns": loop.plan.learns,
        "division": loop.plan.division,
        "seed": loop.plan.seed,
        "rounds": len(rounds),
        "lost_rounds": sum(one.best is None for one in rounds),
        "stopped_copies": sum(one.stopped for one in rounds),
        "steps": loop.state.steps,
        "steps_of_training": loop.num_steps,
        "ended_early": loop.ended_early,
        "learning_rate": loop.plan.learning_rate,
        "search_eval": last_reward(loop) if has_trained(loop) else None,
    }


def _ranking(learned: Sequence[LockstepLoop], best: LockstepLoop) -> list[dict[str, Any]]:
    """The last centre of every search, that of the kept network first, and its loss with the best reward."""
    ordered = [best, *(loop for loop in learned if loop is not best and has_trained(loop))]
    found = [(loop.state.rounds[-1].centre, f"last centre of {loop.plan.name}", None) for loop in ordered]
    top = max(one.best for one in best.state.rounds if one.best is not None)
    found.insert(1, (best_formula(best), f"best reward of {best.plan.name}", top))
    return [
        {"rank": rank, "formula": formula, "note": note, "search_score": reward, "search_eval": None}
        for rank, (formula, note, reward) in enumerate(found, start=1)
    ]
