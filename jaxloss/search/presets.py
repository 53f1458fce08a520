"""Whole ways to search, by name: the letter of the papers, and what was measured to find better losses."""

from collections.abc import Mapping
from typing import Any

PAPER, STRONG = "paper", "strong"

# Dotted key -> value, in an order in which a key stands behind those that make it act. A system adds its own, see
# `systems.base.System.search_presets`; what they are worth together is in experiments/search_strength.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    PAPER: {},
    STRONG: {
        "search.seeds_per_candidate": 3,
        "comparison.num_divisions": 3,
        "search.divisions_per_candidate": 3,
        "search.calibration_trainings": 30,
        "search.generation_size": 2,
        "search.surrogate.candidates": 16,
        "search.evolution.tournament_ratio": 0.1,
        "search.evolution.population_size": 200,
        "search.evolution.immigrants": 0.1,
        "search.evolution.equivalents_breed": False,
        "search.prior_knowledge": True,
    },
}
