"""A whole run that learns a loss in lock-step, in seconds, for tests: searches, controls, tuning and test on the fast task."""

from jaxloss.config import default_config


def get_config():
    config = default_config("am_lfs")
    config.quiet = True
    config.task.name = "fast"
    config.lockstep.num_samples = 4
    config.training.batch_size = 10
    config.training.num_epochs = 3.0
    config.execution.workers = 1
    config.comparison.handcrafted = ("cross_entropy",)
    config.comparison.tuning_trainings = 4
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 1
    config.comparison.num_divisions = 1
    config.comparison.test_seeds = 2
    return config
