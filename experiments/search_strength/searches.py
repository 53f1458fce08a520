"""The searches that are measured against each other: what each changes in the config of a task."""

from collections.abc import Mapping

# The preset, and a generation that suits it where a config says another.
_STRONG = {"search.preset": "strong", "search.generation_size": "2"}
_STARTS = {"search.seeds_per_candidate": "3"}
_DIVISIONS = {**_STARTS, "search.divisions_per_candidate": "3"}
_CALIBRATION = {"search.calibration_trainings": "30"}
_RACE = {"search.seeds_per_candidate": "9", "search.racing_first": "1", "search.divisions_per_candidate": "3"}
_RANDOM = {"search.name": "random_search"}
_PREDICTED = {"search.surrogate.candidates": "16", "search.generation_size": "2"}
_TRAINED = {"search.evolution.equivalents_breed": "false"}

# The preset, each time without one of its parts.
_WITHOUT = {
    "process": {"search.surrogate.candidates": "1"},
    "known_losses": {"search.prior_knowledge": "false"},
    "terms": {"space.autoloss_zero.term_probability": "0"},
    "immigrants": {"search.evolution.immigrants": "0"},
    "known_losses_and_immigrants": {"search.prior_knowledge": "false", "search.evolution.immigrants": "0"},
}

# Losses go to a training as they are drawn, but for those that are not computable or known already.
_NO_MODULES = {"filters.convergence.enabled": "false", "filters.rejection.enabled": "false"}

# By name; all but the last, and that which begins again, spend the same number of trainings, those of the calibration included.
SEARCHES: Mapping[str, Mapping[str, str]] = {
    "evolution": _STARTS,
    "strong": _STRONG,
    # Three times as many trainings as the others, but for those of the calibration, which is done once.
    "strong_restarted": {**_STRONG, "search.restarts": "3"},
    "strong_raced": {**_STRONG, "search.seeds_per_candidate": "9", "search.racing_first": "3"},
    **{f"strong_without_{part}": {**_STRONG, **changes} for part, changes in _WITHOUT.items()},
    "random": {**_STARTS, **_RANDOM},
    "divisions": _DIVISIONS,
    "calibrated": {**_STARTS, **_CALIBRATION},
    "scored": {**_DIVISIONS, **_CALIBRATION},
    "predicted": {**_DIVISIONS, **_CALIBRATION, **_PREDICTED, **_TRAINED},
    "random_predicted": {**_RANDOM, **_DIVISIONS, **_CALIBRATION, **_PREDICTED},
    "raced": {**_RACE, **_CALIBRATION},
    "random_raced": {**_RANDOM, **_RACE, **_CALIBRATION},
    "random_scored": {**_RANDOM, **_DIVISIONS, **_CALIBRATION},
    # Of CSE-Autoloss (Liu et al., ICLR 2021, Table 5): the whole, evolution from the predefined loss alone, and random search.
    "generations": {},
    "plain_evolution": {"search.name": "evolution", "search.evolution.initial_population": "1", **_NO_MODULES},
    "plain_random": {"search.name": "random_search", "search.seeds": "()", **_NO_MODULES},
    # So long that it takes the processor as long as `strong` does.
    "random_scored_longer": {**_RANDOM, **_DIVISIONS, **_CALIBRATION, "search.num_trainings": "1160"},
}
