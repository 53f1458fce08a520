"""AM-LFS on retrieval of unseen characters, shortened: the curves stand on the cosines, in the place of the softmax branch.

    python -m jaxloss.launch --config=experiments/am_lfs_classification/omniglot.py --config.data_dir=DATA --workdir=DIR

Omniglot at 14 x 14, five epochs, a rate for each search as in the other experiments of this folder; B = 8.
"""

from configs import am_lfs_omniglot


def get_config():
    config = am_lfs_omniglot.get_config()
    config.task.retrieval.image_size = (14, 14)
    config.task.retrieval.augmentation_options = {"padding": 1}
    config.training.num_epochs = 5.0
    config.lockstep.rate = "searched"
    config.lockstep.rate_searches = 3
    config.comparison.tuning_trainings = 16
    config.comparison.test_seeds = 5
    return config
