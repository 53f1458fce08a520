"""What a search leaves undone, before it begins."""

from collections.abc import Iterator

from jaxloss.search.loop import SearchLoop


def undone(loop: SearchLoop, restart: int) -> Iterator[str]:
    """Lines about what a search leaves undone, and what its curves lack; what is so of each search is said of the first."""
    name, budget, done = loop.search.label, loop.budget.num_trainings, loop.counts.trainings
    if not restart and loop.chooser is not None and loop.chooser.candidates(budget // loop.budget.rungs[0] - 1) == 1:
        yield "search.num_trainings ends before the chooser has seen enough to begin: nothing will be chosen"
    # Where nothing is written yet, the last step is below 0.
    if loop.metrics is not None and done > max(loop.metrics.last_step, 0):
        yield f"metrics.jsonl lacks trainings of {name}, and this archive, of an earlier version, does not hold their lines"
    if budget < done:
        yield f"{name} has done {done} trainings, more than search.num_trainings={budget}: they stay, and it does no more"
