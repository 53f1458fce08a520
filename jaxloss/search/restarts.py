"""Searches of one run that begin again: each from draws and trainings of its own, with a budget of its own.

What a search finds differs from one seed to the next, often by more than its lead; which one went well can be told by the score
of its best loss on search_eval, without the test (experiments/search_strength).
"""

import dataclasses

from jaxloss.search.budget import SearchBudget

# The state of a run's archive that says which searches came to nothing, label -> why.
LEFT_OUT = "left out"
# Between the seeds of two searches of a run: farther apart than a candidate has trainings.
_APART = 100_003


def label_of(name: str, restart: int) -> str:
    """What a search is called in the archive, for example `evolution`, `evolution 2`, `evolution 3`."""
    return f"{name} {restart + 1}" if restart else name


def seed_of(seed: int, restart: int) -> int:
    """The seed of all draws of a search."""
    return seed + _APART * restart


def budget_of(budget: SearchBudget, restart: int) -> SearchBudget:
    """The budget of a search: its candidates are trained from other seeds, on the same divisions of the data."""
    return dataclasses.replace(budget, starts=tuple((seed_of(seed, restart), division) for seed, division in budget.starts))
