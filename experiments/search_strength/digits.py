"""The config of the benchmark's tasks on scikit-learn's digits: the quickstart's, with no noise, no preset and a larger budget.

What it says of the search is how it was before there was a preset: what is measured starts from there.
"""

from configs import quickstart
from jaxloss.config import default_config


def get_config():
    config = quickstart.get_config()
    task, default = config.task.classification, default_config().task.classification
    task.noise_kind, task.noise_rate = default.noise_kind, default.noise_rate

    config.search.preset = "paper"
    config.search.num_trainings = 750
    config.search.generation_size = 8
    config.search.evolution.tournament_ratio = 0.1
    config.search.evolution.population_size = 200
    config.comparison.rank_candidates = 32
    return config
