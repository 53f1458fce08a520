"""AutoLoss-Zero by the letter, on digits with noisy labels: every number of the search is the paper's.

    python -m jaxloss.launch --config=configs/autoloss_zero_digits.py --workdir=runs/autoloss_zero_digits

500 trainings, K = 20, P = 2500, T = 5%, one proposal at a time, B = 5, eta = 0.6, 500 iterations, two significant digits.
Ten minutes on two CPU cores.
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    task = config.task.classification
    task.source = "digits"
    task.noise_kind = "symmetric"
    task.noise_rate = 0.4
    task.model = "mlp"
    return config
