"""Full trainings on the retrieval task of `autoloss_gms_omniglot.py`: found losses against published and hand-crafted ones.

    python -m jaxloss.launch --config=configs/autoloss_gms_omniglot_full.py --config.data_dir=DIR --workdir=runs/gms_compare \
        --config.losses="('t: ... | n: ... | log2_s: ...', 'autoloss_gms_a', 'normalised_softmax', 'cosface')"

The first loss is the one that differences are taken of. Every loss gets the same number of tuning trainings for its rate, its
scale and its margin.
"""

import autoloss_gms_omniglot

from jaxloss.spaces.handcrafted_margin import MARGIN_FAMILIES
from jaxloss.systems.autoloss_gms.published import AUTOLOSS_GMS_FORMULAS


def get_config():
    config = autoloss_gms_omniglot.base_config()
    config.mode = "compare"
    config.losses = (*(name for name in AUTOLOSS_GMS_FORMULAS if name != "autoloss_gms_cub"), *MARGIN_FAMILIES)
    config.training.num_epochs = 12.0
    config.comparison.tuning_trainings = 16
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 2
    config.comparison.test_seeds = 5
    config.comparison.num_divisions = 1
    return config
