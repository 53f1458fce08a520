"""AM-LFS on CIFAR-10 in the paper's form: ResNet-20, B = 32, M = 6, sigma = 0.2, Adam at 0.05 (Sections 4.1 to 4.3).

On TFDS, prepared beforehand in DIR; for an accelerator:

    python -m jaxloss.launch --config=configs/am_lfs_cifar10.py --config.data_dir=DIR --workdir=runs/am_lfs_cifar10

Label noise of Table 2: `--config.task.classification.noise_kind=flipped --config.task.classification.noise_rate=0.1` (0.2). The
ablations of Tables 6 and 7: `--config.lockstep.num_samples=4`, `--config.space.am_lfs.num_intervals=3`. On 10,000 images with a
small network, for a CPU:

    python -m jaxloss.launch --config=configs/am_lfs_cifar10.py --config.data_dir=DIR --workdir=runs/am_lfs_cifar10_small \\
        --config.task.classification.source=npz:cifar10_subset.npz --config.task.classification.model=small_cnn \\
        --config.task.classification.fractions="(0.8, 0.2, 0.0)" --config.training.num_epochs=8 \\
        --config.training.step_epochs="(4.0, 6.0)" --config.lockstep.num_samples=4 --config.comparison.test_seeds=3 \\
        --config.comparison.tuning_trainings=8

ResNet-20 is trained as He et al. did (CVPR 2016, Section 4.2), 64,000 steps. The paper does not say which images its rewards were
computed on: here on a tenth of the training images.
"""

from jaxloss.config import default_config


def get_config():
    config = default_config("am_lfs")
    task = config.task.classification
    task.source = "tfds:cifar10"
    task.model = "resnet20"
    task.fractions = (0.9, 0.1, 0.0)
    task.augmentation = "crop_flip"
    task.pixel_mean = (0.4914, 0.4822, 0.4465)
    task.pixel_deviation = (0.2470, 0.2435, 0.2616)

    config.training.optimiser = "sgd"
    config.training.learning_rate = 0.1
    config.training.weight_decay = 1e-4
    config.training.batch_size = 128
    config.training.num_epochs = 182.0
    config.training.schedule = "steps"
    config.training.step_epochs = (91.0, 136.0)

    config.comparison.handcrafted = ("cross_entropy",)
    config.comparison.learning_rate_low = 0.02
    config.comparison.learning_rate_high = 0.5
    config.comparison.tuning_trainings = 8
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 2
    config.comparison.num_divisions = 1
    config.comparison.test_seeds = 3
    return config
