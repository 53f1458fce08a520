"""AutoLoss-GMS from prior knowledge on the same task: ten hand-crafted losses and ten random ones begin the population.

    python -m jaxloss.launch --config=configs/autoloss_gms_omniglot_prior.py --config.data_dir=DIR \
        --workdir=runs/gms_omniglot_prior
"""

import autoloss_gms_omniglot

from jaxloss.systems.autoloss_gms.published import MARGIN_SOFTMAX_FORMULAS


def get_config():
    config = autoloss_gms_omniglot.get_config()
    config.search.seeds = tuple(MARGIN_SOFTMAX_FORMULAS.values())
    return config
