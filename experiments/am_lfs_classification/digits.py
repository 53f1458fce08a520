"""AM-LFS on digits at four rates of label noise, with all controls and one more rival than its config names.

    python -m jaxloss.sweep --config=experiments/am_lfs_classification/digits.py --workdir=DIR

Five searches, one for each seed, as in its config.
"""

from configs import am_lfs_digits


def get_config():
    config = am_lfs_digits.get_config()
    # The best hand-crafted loss of this task at 70% noise.
    config.comparison.handcrafted = (*config.comparison.handcrafted, "soft_f1")
    config.execution.workers = 1
    return config


def get_sweep():
    kind, rate = "task.classification.noise_kind", "task.classification.noise_rate"
    return [{kind: "none", rate: 0.0}, *({kind: "symmetric", rate: value} for value in (0.2, 0.4, 0.7))]
