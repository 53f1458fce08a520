"""AutoLoss-GMS from scratch on a small open-set retrieval task: characters of unseen alphabets, drawers as cameras.

On `omniglot_7alphabets.npz` (keys `images28`, `labels`, `drawer`, `split`), found in the folder `data_dir`:

    python -m jaxloss.launch --config=configs/autoloss_gms_omniglot.py --config.data_dir=DIR --workdir=runs/gms_omniglot

The proxy is a short training of a small network; `configs/autoloss_gms_omniglot_full.py` trains the losses that were found, and
their rivals, at full length. Numbers of the search are those of the paper, but for the budget and what follows from it: see the
comments. At most 60 minutes on two CPU cores.
"""

from jaxloss.config import default_config


def get_config():
    config = base_config()
    # Two rivals for a first look: all of them take part in the full trainings.
    config.comparison.handcrafted = ("normalised_softmax", "arcface")
    return config


def base_config():
    """Everything but the rivals of a search."""
    config = default_config("autoloss_gms")
    task = config.task.retrieval
    task.source = "npz:omniglot_7alphabets.npz"
    task.source_options = {"image_key": "images28", "identity_key": "labels", "camera_key": "drawer", "split_key": "split"}
    task.image_size = (0, 0)
    task.model = "embedding_cnn"
    # Characters must not be mirrored.
    task.augmentation = "crop"
    task.augmentation_options = {"padding": 2}
    task.pixel_mean = 0.1
    task.pixel_deviation = 0.3
    task.flip_test = False

    config.search.num_trainings = 240
    # Two cores train two candidates at once.
    config.search.generation_size = 2
    # 5% of a small population is a tournament of one, which selects nothing.
    config.search.evolution.tournament_ratio = 0.1
    # The chooser has the small predictor of the default: the paper's takes minutes to fit.

    config.training.optimiser = "sgd"
    config.training.learning_rate = 0.2
    config.training.weight_decay = 5e-4
    config.training.batch_size = 64
    config.training.num_epochs = 5.0

    config.comparison.learning_rate_low = 0.03
    config.comparison.learning_rate_high = 1.0
    config.comparison.rank_candidates = 12
    config.comparison.rank_seeds = 3
    config.comparison.num_found = 2
    config.comparison.tuning_trainings = 8
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 2
    config.comparison.test_seeds = 2
    return config
