"""Checks a configuration: the values that no other part checks."""

import ml_collections

from jaxloss.config import MODES
from jaxloss.core.errors import UserError, unknown
from jaxloss.runs.directory import flatten

_MANY = float("inf")

# Smallest and largest value of the keys that no other part checks.
RANGES = {
    "seed": (0, 2**31),
    "search.num_trainings": (1, _MANY),
    "search.seeds_per_candidate": (1, _MANY),
    "search.generation_size": (1, _MANY),
    "search.evolution.population_size": (1, _MANY),
    "search.evolution.tournament_ratio": (0.0, 1.0),
    "space.autoloss_zero.initial_depth": (1, 10),
    "space.autoloss_zero.max_instructions": (1, _MANY),
    "space.autoloss_zero.max_constants": (1, _MANY),
    "space.autoloss_zero.copy_probability": (0.0, 1.0),
    "space.autoloss_zero.reinitialise_probability": (0.0, 1.0),
    "space.autoloss_zero.num_mutations": (1, _MANY),
    "filters.rejection.num_samples": (1, _MANY),
    "filters.rejection.iterations": (1, _MANY),
    "filters.rejection.minimum_gain": (-1.0, 1.0),
    "filters.equivalence.significant_digits": (1, 17),
    "filters.batch": (1, _MANY),
    "filters.width": (0, _MANY),
    "filters.max_attempts": (1, _MANY),
    "training.learning_rate": (1e-12, _MANY),
    "training.momentum": (0.0, 1.0),
    "training.weight_decay": (0.0, _MANY),
    "training.batch_size": (1, _MANY),
    "training.num_epochs": (1e-6, _MANY),
    "training.warmup_epochs": (0.0, _MANY),
    "training.clip_norm": (0.0, _MANY),
    "execution.workers": (0, _MANY),
    "execution.lanes": (0, _MANY),
    "comparison.rank_candidates": (1, _MANY),
    "comparison.rank_seeds": (1, _MANY),
    "comparison.num_found": (1, _MANY),
    "comparison.tuning_finalists": (1, _MANY),
    "comparison.tuning_seeds": (1, _MANY),
    "comparison.test_seeds": (1, _MANY),
    "comparison.learning_rate_low": (1e-9, _MANY),
    "comparison.learning_rate_high": (1e-9, _MANY),
    "comparison.margin": (0.0, _MANY),
    "comparison.seed": (0, 2**31),
}
CHOICES = {
    "filters.batching": ("auto", "blocks", "vmap"),
    "filters.rejection.variable": ("probability", "logits"),
    "execution.mode": ("auto", "serial", "vmap", "pmap", "data_parallel", "measure"),
    "execution.dispatch": ("auto", "whole", "steps"),
}


def check_config(config: ml_collections.ConfigDict) -> None:
    """Checks the values that no other part checks.

    Raises:
      UserError: names the key.
    """
    if config.mode not in MODES:
        raise unknown("mode", config.mode, MODES)
    values = flatten(config.to_dict())
    for key, (low, high) in RANGES.items():
        if not low <= values[key] <= high:
            bound = f"at least {low}" if values[key] < low else f"at most {high}"
            raise UserError(f"config key {key} must be {bound}, not {values[key]}")
    for key, choices in CHOICES.items():
        if values[key] not in choices:
            raise unknown(key, values[key], choices)
    splits = config.comparison.splits
    if not splits or len(set(splits)) < len(splits) or not all(type(one) is int and 0 <= one < 2**31 for one in splits):
        raise UserError(
            "config key comparison.splits must name different divisions of the data by their numbers, one at least, "
            "for example (0, 1)"
        )
    for key in ("search.seeds", "losses", "comparison.handcrafted"):
        wrong = [value for value in values[key] if not isinstance(value, str)]
        if wrong:
            raise UserError(f"config key {key} takes formulas or names, not {wrong[0]!r}")
        twice = [value for index, value in enumerate(values[key]) if value in values[key][:index]]
        if twice:
            raise UserError(f"config key {key} names '{twice[0]}' twice")
    comparison = config.comparison
    if comparison.learning_rate_low > comparison.learning_rate_high:
        raise UserError("comparison.learning_rate_low must not be above comparison.learning_rate_high")
    if comparison.test_seeds * len(comparison.splits) < 2:
        raise UserError("comparison.test_seeds x the number of comparison.splits must be at least 2: one pair has no interval")
    least = comparison.tuning_finalists * (comparison.tuning_seeds + 1)
    if comparison.tuning_trainings < least:
        raise UserError(
            f"comparison.tuning_trainings must be at least tuning_finalists x (tuning_seeds + 1) = {least}, "
            f"not {comparison.tuning_trainings}"
        )
    if config.search.num_trainings < config.search.seeds_per_candidate:
        raise UserError(
            f"search.num_trainings ({config.search.num_trainings}) is not enough for one candidate of "
            f"search.seeds_per_candidate = {config.search.seeds_per_candidate}"
        )
    space = config.space.autoloss_zero
    if not space.branches or len(space.branches) != len(space.branch_weights):
        raise UserError(
            f"space.autoloss_zero has {len(space.branches)} branches and {len(space.branch_weights)} branch_weights: "
            "every branch, one at least, has one weight"
        )
