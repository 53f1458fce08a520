"""The config of the benchmark's tasks on scikit-learn's digits: a small network, a small budget, and no preset."""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    task = config.task.classification
    task.source = "digits"
    task.model = "mlp"
    task.fractions = (0.5, 0.2, 0.3)

    config.search.num_trainings = 750
    # One training on a few hundred examples is luck: with a single seed, evolution breeds what suits that seed.
    config.search.seeds_per_candidate = 3
    # Two cores train two candidates at once; a generation of eight keeps them busy.
    config.search.generation_size = 8
    # 5% of a small population is a tournament of one, which selects nothing; and only recent individuals are parents.
    config.search.evolution.tournament_ratio = 0.1
    config.search.evolution.population_size = 200

    # Adam does not see the scale of a loss, so neither does the equivalence check. It needs more digits then: untrained
    # predictions are nearly uniform, and without their scale the norms of most losses agree in two digits.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.01
    config.training.batch_size = 64
    config.training.num_epochs = 30.0
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True

    config.comparison.learning_rate_low = 0.001
    config.comparison.learning_rate_high = 0.1
    config.comparison.rank_candidates = 32
    # Four divisions of the data: what is chosen on few held-out images is chosen by luck.
    config.comparison.num_divisions = 4
    config.comparison.rank_seeds = 8
    config.comparison.tuning_trainings = 60
    config.comparison.tuning_finalists = 5
    config.comparison.tuning_seeds = 8
    config.comparison.test_seeds = 5
    return config
