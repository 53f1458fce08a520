"""A whole run in seconds, for tests: search, control, ranking, tuning and test on the fast task."""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    config.quiet = True
    config.task.name = "fast"

    config.search.num_trainings = 6
    config.search.evolution.initial_population = 3
    config.search.evolution.tournament_ratio = 0.5
    config.filters.rejection.iterations = 100
    config.filters.rejection.learning_rate = 0.01
    config.filters.batch = 8
    config.filters.width = 8
    config.training.batch_size = 10
    config.training.num_epochs = 4.0
    config.execution.workers = 1

    config.comparison.diagnosis = False
    config.comparison.handcrafted = ("cross_entropy", "focal")
    config.comparison.rank_candidates = 2
    config.comparison.rank_seeds = 2
    config.comparison.num_found = 1
    config.comparison.tuning_trainings = 4
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 1
    config.comparison.test_seeds = 2
    return config
