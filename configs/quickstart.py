"""A first search, in three minutes on two CPU cores.

    python -m jaxloss.launch --config=configs/quickstart.py --workdir=runs/quickstart

Scikit-learn's digits with 40% of the training labels replaced by random ones, a small network, AutoLoss-Zero's space and
algorithm from scratch. What differs from the paper's numbers is a small budget's need: see the comments.
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    task = config.task.classification
    task.source = "digits"
    task.noise_kind = "symmetric"
    task.noise_rate = 0.4
    task.model = "mlp"
    task.fractions = (0.5, 0.2, 0.3)

    config.search.num_trainings = 200
    # Two cores train two candidates at once; a generation of eight keeps them busy.
    config.search.generation_size = 8
    # 5% of a small population is a tournament of one, which selects nothing.
    config.search.evolution.tournament_ratio = 0.25

    config.training.batch_size = 64
    config.training.num_epochs = 30.0
    config.training.learning_rate = 0.1
    # Losses are compared at the same first step length, not at the same scale: a loss times two is the same loss.
    config.training.loss_scale = "unit_gradient"
    config.filters.equivalence.scale_free = True
    config.comparison.learning_rate_high = 1.0
    return config
