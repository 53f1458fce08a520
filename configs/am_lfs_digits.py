"""AM-LFS on digits with noisy labels: the loss is learned while a small network trains.

    python -m jaxloss.launch --config=configs/am_lfs_digits.py --workdir=runs/am_lfs_digits

The paper's B = 32, M = 6, sigma = 0.2 and Adam at 0.05; five searches, one for each seed, and all controls.
"""

from jaxloss.config import default_config


def get_config():
    config = default_config("am_lfs")
    task = config.task.classification
    task.source = "digits"
    task.noise_kind = "symmetric"
    task.noise_rate = 0.4
    task.model = "mlp"
    task.fractions = (0.5, 0.2, 0.3)

    # The logits of this network seldom leave [-8, 8].
    config.space.am_lfs.scale = 8.0

    config.training.optimiser = "adam"
    config.training.learning_rate = 0.01
    config.training.batch_size = 64
    config.training.num_epochs = 30.0

    # Rates are tuned for everything in the table: for the rivals by trainings, for the searches by searches.
    config.lockstep.rate = "searched"
    config.comparison.handcrafted = ("cross_entropy", "gce", "sce", "focal")
    config.comparison.learning_rate_low = 0.001
    config.comparison.learning_rate_high = 0.1
    config.comparison.tuning_trainings = 24
    config.comparison.num_divisions = 1
    config.comparison.test_seeds = 5
    return config
