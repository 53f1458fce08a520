"""How many copies, and how many intervals: Tables 6 and 7 of the paper, on digits with 40% wrong labels.

    python -m jaxloss.sweep --config=experiments/am_lfs_classification/sizes.py --workdir=DIR

The searches and those without learning alone; the rates are searched for each size.
"""

from configs import am_lfs_digits


def get_config():
    config = am_lfs_digits.get_config()
    config.comparison.handcrafted = ("cross_entropy",)
    config.lockstep.longer = config.lockstep.best_of = config.lockstep.last = config.lockstep.fixed = False
    config.lockstep.replay = "none"
    config.execution.workers = 1
    return config


def get_sweep():
    sizes = [(4, 6), (8, 6), (16, 6), (32, 6), (32, 3), (32, 10)]
    return [{"lockstep.num_samples": copies, "space.am_lfs.num_intervals": intervals} for copies, intervals in sizes]
