"""AutoLoss-Zero on CIFAR-10 with 40% label noise and a small CNN.

On an `.npz` file (keys `train_images`, `train_labels`, `test_images`, `test_labels`), found in the folder `data_dir`:

    python -m jaxloss.launch --config=configs/autoloss_zero_cifar10.py --config.data_dir=DIR --workdir=runs/cifar10

On TFDS, prepared beforehand in DIR:

    python -m jaxloss.launch --config=configs/autoloss_zero_cifar10.py --config.task.classification.source=tfds:cifar10 \
        --config.data_dir=DIR --workdir=runs/cifar10_tfds

With the defaults and a file of 10,000 training images it takes at most 40 minutes on two CPU cores. For ResNet-20 at full
size: `--config.task.classification.model=resnet20`, on an accelerator.
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    task = config.task.classification
    task.source = "npz:cifar10_subset.npz"
    task.noise_kind = "symmetric"
    task.noise_rate = 0.4
    task.model = "small_cnn"
    task.fractions = (0.8, 0.2, 0.0)
    task.pixel_mean = 0.47
    task.pixel_deviation = 0.25

    config.search.num_trainings = 60
    config.search.generation_size = 4
    config.search.evolution.tournament_ratio = 0.1

    # As in the quickstart: Adam does not see the scale of a loss, so neither does the equivalence check.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.003
    config.training.batch_size = 128
    config.training.num_epochs = 4.0
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True

    # XLA spreads a convolution over the cores: a second training at once only gets in its way.
    config.execution.workers = 1

    config.comparison.learning_rate_low = 0.0005
    config.comparison.learning_rate_high = 0.03
    config.comparison.rank_candidates = 6
    config.comparison.rank_seeds = 2
    config.comparison.num_found = 2
    config.comparison.tuning_trainings = 10
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 2
    config.comparison.test_seeds = 3
    return config
