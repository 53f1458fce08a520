"""The numbers of AutoLoss-GMS where they differ from the defaults (supplement, Table 2 and Section G)."""

from typing import Any

PRESET: dict[str, Any] = {
    "space.name": "autoloss_gms",
    "task.name": "retrieval",
    "search.evolution.population_size": 1000,
    "search.control": False,
    "search.chooser.enabled": True,
    # The toy optimisation: B, and the accuracy that it has to reach.
    "filters.rejection.num_samples": 64,
    "filters.rejection.minimum_metric": 0.9,
    "filters.rejection.iterations": 200,
    "filters.rejection.learning_rate": 0.01,
}
