"""A whole search for a loss of boxes in seconds, for tests: generations from the generalised overlap, on the task of boxes."""

from jaxloss.config import default_config


def get_config():
    config = default_config("cse_autoloss")
    config.quiet = True
    config.task.name = "tests.box_losses.task:make_task"

    config.space.cse_autoloss.fixed_loss = "sigmoid_focal"
    config.search.num_trainings = 7
    config.search.generation_size = 40
    config.search.generations.kept = 3
    config.search.generations.parents = 2
    config.search.generations.slack = 0.05
    config.filters.convergence.box_size = (16.0, 16.0)
    config.filters.convergence.num_points = 9
    config.filters.rejection.num_samples = 4
    config.filters.rejection.iterations = 40
    config.filters.rejection.learning_rate = 0.02
    config.filters.batch = 16
    config.filters.width = 16
    config.training.batch_size = 8
    config.training.num_epochs = 10.0
    config.training.learning_rate = 0.05
    config.execution.workers = 1

    config.comparison.diagnosis = False
    config.comparison.handcrafted = ("giou", "ciou")
    config.comparison.rank_candidates = 2
    config.comparison.rank_seeds = 1
    config.comparison.num_found = 1
    config.comparison.tuning_trainings = 4
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 1
    config.comparison.test_seeds = 1
    return config
