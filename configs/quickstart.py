"""A first search, in three minutes on two CPU cores.

    python -m jaxloss.launch --config=configs/quickstart.py --workdir=runs/quickstart

Scikit-learn's digits with 70% of the training labels replaced by random ones, a small network, AutoLoss-Zero's space. At 40% the
best hand-crafted losses leave nothing to win.
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    task = config.task.classification
    task.source = "digits"
    task.noise_kind = "symmetric"
    task.noise_rate = 0.7
    task.model = "mlp"
    task.fractions = (0.5, 0.2, 0.3)

    config.search.num_trainings = 330
    # Not the letter of the paper, but what finds better losses: see experiments/search_strength/README.md.
    config.search.preset = "strong"

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
    config.comparison.rank_candidates = 16
    # Four divisions of the data: what is chosen on few held-out images is chosen by luck.
    config.comparison.num_divisions = 4
    config.comparison.rank_seeds = 8
    config.comparison.tuning_trainings = 60
    config.comparison.tuning_finalists = 5
    config.comparison.tuning_seeds = 8
    config.comparison.test_seeds = 5
    return config
