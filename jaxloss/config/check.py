"""Checks a configuration: the values that no other part checks."""

import math

import ml_collections
import numpy as np

from jaxloss.config.defaults import MODES
from jaxloss.core.errors import UserError, unknown
from jaxloss.runs.directory import flatten

# Smallest and largest value of every key that holds one number. The largest ones are generous: what is beyond them is a slip of
# the keyboard, which would end in an overflow, in an exhausted memory or never.
RANGES = {
    "seed": (0, 2**30),
    "search.num_trainings": (1, 10**9),
    "search.seeds_per_candidate": (1, 10_000),
    "search.generation_size": (1, 100_000),
    "search.chooser.start_after": (2, 10**9),
    "search.chooser.update_every": (1, 10**9),
    "search.chooser.candidates": (1, 100_000),
    "search.chooser.predictor.depth": (10, 50),
    "search.chooser.predictor.width": (1, 10_000),
    "search.chooser.predictor.num_epochs": (1, 1_000_000),
    "search.chooser.predictor.batch_size": (2, 100_000),
    "search.chooser.predictor.learning_rate": (1e-12, 1e6),
    "search.chooser.predictor.momentum": (0.0, 1.0),
    "search.chooser.predictor.rank_weight": (0.0, 1e6),
    "search.chooser.predictor.rank_temperature": (1e-9, 1e6),
    "search.chooser.predictor.regression_weight": (0.0, 1e6),
    "search.evolution.initial_population": (1, 10**9),
    "search.evolution.population_size": (1, 10**9),
    "search.evolution.tournament_ratio": (1e-9, 1.0),
    "space.autoloss_zero.initial_depth": (1, 10),
    "space.autoloss_zero.max_instructions": (1, 10_000),
    "space.autoloss_zero.max_constants": (1, 1_000),
    "space.autoloss_zero.copy_probability": (0.0, 1.0),
    "space.autoloss_zero.reinitialise_probability": (0.0, 1.0),
    "space.autoloss_zero.num_mutations": (1, 1_000),
    "task.classification.test_seed": (0, 2**30),
    "task.classification.split_seed": (0, 2**30),
    "task.classification.train_limit": (0, 10**9),
    "task.classification.search_eval_limit": (0, 10**9),
    "task.classification.test_limit": (0, 10**9),
    "task.classification.noise_rate": (0.0, 1.0),
    "task.classification.noise_seed": (0, 2**30),
    "task.classification.evaluation_batch": (1, 10**9),
    "space.autoloss_gms.num_constants": (0, 100),
    "space.autoloss_gms.max_operators": (1, 1_000),
    "space.autoloss_gms.scale_step": (1e-3, 10.0),
    "space.autoloss_gms.num_scales": (1, 10_000),
    "space.autoloss_gms.constant_step": (1e-6, 1e3),
    "space.autoloss_gms.num_constant_values": (1, 10_000),
    "space.autoloss_gms.crossover_probability": (0.0, 1.0),
    "space.autoloss_gms.copy_probability": (0.0, 1.0),
    "space.autoloss_gms.reinitialise_probability": (0.0, 1.0),
    "space.autoloss_gms.max_mutations": (1, 1_000),
    "space.autoloss_gms.constant_precision": (1e-9, 1e3),
    "task.retrieval.train_fraction": (0.0, 1.0),
    "task.retrieval.test_fraction": (0.0, 1.0),
    "task.retrieval.test_seed": (0, 2**30),
    "task.retrieval.split_seed": (0, 2**30),
    "task.retrieval.train_limit": (0, 10**9),
    "task.retrieval.search_eval_limit": (0, 10**9),
    "task.retrieval.class_length": (1e-6, 1e6),
    "task.retrieval.triplet_weight": (0.0, 1e6),
    "task.retrieval.triplet_margin": (0.0, 1e6),
    "task.retrieval.identities_per_batch": (0, 100_000),
    "task.retrieval.images_per_identity": (1, 100_000),
    "task.retrieval.evaluation_batch": (1, 10**9),
    "task.retrieval.rerank_k1": (1, 100_000),
    "task.retrieval.rerank_k2": (1, 100_000),
    "task.retrieval.rerank_distance_weight": (0.0, 1.0),
    "task.retrieval.toy_classes": (2, 100_000),
    "filters.rejection.minimum_metric": (0.0, 1.0),
    "filters.properties.fraction": (0.0, 1.0),
    "filters.properties.num_points": (2, 1_000_000),
    "filters.properties.digits": (0, 15),
    "filters.rejection.num_samples": (1, 100_000),
    "filters.rejection.iterations": (1, 1_000_000),
    "filters.rejection.learning_rate": (1e-12, 1e6),
    # At 1 the velocity is a sum that never forgets.
    "filters.rejection.momentum": (0.0, 0.999999),
    "filters.rejection.minimum_gain": (-1.0, 1.0),
    "filters.equivalence.significant_digits": (1, 17),
    "filters.batch": (1, 100_000),
    "filters.width": (0, 100_000),
    "filters.max_attempts": (1, 10**9),
    "training.learning_rate": (1e-12, 1e6),
    "training.momentum": (0.0, 1.0),
    "training.weight_decay": (0.0, 1e3),
    "training.batch_size": (1, 10**9),
    "training.num_epochs": (1e-6, 10_000.0),
    "training.warmup_epochs": (0.0, 10_000.0),
    "training.warmup_start": (0.0, 1.0),
    "training.step_factor": (0.0, 1.0),
    "training.frozen_epochs": (0.0, 10_000.0),
    "training.clip_norm": (0.0, 1e6),
    "execution.workers": (0, 1_024),
    "execution.lanes": (0, 100_000),
    "comparison.rank_candidates": (1, 10_000),
    "comparison.rank_seeds": (1, 10_000),
    "comparison.num_found": (1, 10_000),
    "comparison.tuning_trainings": (1, 1_000_000),
    "comparison.best_rival_trainings": (0, 1_000_000),
    "comparison.tuning_finalists": (1, 10_000),
    "comparison.tuning_seeds": (1, 10_000),
    "comparison.test_seeds": (1, 10_000),
    "comparison.learning_rate_low": (1e-9, 1e6),
    "comparison.learning_rate_high": (1e-9, 1e6),
    "comparison.margin": (0.0, 1.0),
    "comparison.seed": (0, 2**30),
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
        if type(values[key]) not in (int, float) or math.isnan(values[key]):
            raise UserError(f"config key {key} must be a number from {low} to {high}, not {values[key]}")
        if not low <= values[key] <= high:
            bound = f"at least {low}" if values[key] < low else f"at most {high}"
            raise UserError(f"config key {key} must be {bound}, not {values[key]}")
    for key in (f"task.{task}.pixel_{what}" for task in ("classification", "retrieval") for what in ("mean", "deviation")):
        # One number, or one per channel.
        if not all(_is_finite(one) for one in (values[key] if isinstance(values[key], tuple | list) else [values[key]])):
            raise UserError(f"config key {key} must be finite, not {values[key]}")
        if key.endswith("deviation") and np.min(values[key], initial=1.0) <= 0:
            raise UserError(f"config key {key} must be above 0, not {values[key]}")
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
            taken = "formulas" if key == "search.seeds" else "formulas or names"
            raise UserError(f"config key {key} takes {taken}, not {wrong[0]!r}")
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
    if 0 < comparison.best_rival_trainings < comparison.tuning_trainings:
        raise UserError(
            f"comparison.best_rival_trainings ({comparison.best_rival_trainings}) must be 0, or at least "
            f"comparison.tuning_trainings ({comparison.tuning_trainings})"
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
    if not all(_is_finite(weight) and weight > 0 for weight in space.branch_weights):
        raise UserError(
            f"config key space.autoloss_zero.branch_weights must hold finite numbers above 0, not {tuple(space.branch_weights)}"
        )


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
