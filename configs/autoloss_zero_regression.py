"""AutoLoss-Zero on a regression with outliers.

    python -m jaxloss.launch --config=configs/autoloss_zero_regression.py --workdir=runs/autoloss_zero_regression

With `--config.search.preset=strong` a search begins with squared and absolute errors and their bounded relatives.

Scikit-learn's diabetes data, errors added to a fifth of the training targets, a small network; R2 on the others is maximised.
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    config.task.name = "regression"
    task = config.task.regression
    task.source = "diabetes"
    task.outlier_share = 0.2
    task.outlier_scale = 5.0
    task.metric = "r2"
    task.fractions = (0.5, 0.2, 0.3)
    task.model_options.features = (32,)

    config.space.autoloss_zero.branches = ("regression",)
    config.search.num_trainings = 120
    # Adam does not see the scale of a loss, so neither does the equivalence check.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.01
    config.training.batch_size = 32
    config.training.num_epochs = 30.0
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True

    config.search.divisions_per_candidate = 3
    config.search.seeds_per_candidate = 3
    config.comparison.handcrafted = ("huber", "mse", "absolute_error", "log_cosh", "quantile", "cauchy", "welsch")
    config.comparison.learning_rate_low = 0.001
    config.comparison.learning_rate_high = 0.1
    config.comparison.num_divisions = 4
    config.comparison.rank_candidates = 6
    config.comparison.rank_seeds = 4
    config.comparison.tuning_trainings = 30
    config.comparison.tuning_finalists = 3
    config.comparison.tuning_seeds = 4
    config.comparison.test_seeds = 5
    return config
