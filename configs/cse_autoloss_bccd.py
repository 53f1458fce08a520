"""CSE-Autoloss for the regression branch of a small detector: blood cells, from the generalised IoU. Made for two CPU cores.

`bccd_256x192.npz` lies in DIR:

    python -m jaxloss.launch --config=configs/cse_autoloss_bccd.py --config.data_dir=DIR --workdir=runs/cse_bccd

The proxy is a short training of a tiny FCOS; focal loss is fixed for classification, as in the paper's search on FCOS. Numbers of
the search are those of the paper as far as it has them (a population of 1,000, ten losses of a generation trained), but for the
budget and what follows from it: see the comments. For the classification branch, from focal loss with the IoU:

    --config.space.cse_autoloss.branches="('classification',)" --config.space.cse_autoloss.fixed_loss=giou \\
        --config.search.seeds="('fli',)" --config.search.generation_size=10000 --config.filters.rejection.variable=logits \\
        --config.comparison.handcrafted="('sigmoid_focal', 'sigmoid_cross_entropy', 'ghm')"
"""

from jaxloss.config import default_config


def get_config():
    config = default_config("cse_autoloss")
    config.task.name = "detection"
    task = config.task.detection
    task.source = "npz:bccd_256x192.npz"
    # The val of the file is the test set.
    task.fractions = (0.75, 0.25, 0.0)
    task.model = "tiny_fcos"
    # Platelets on the finest level, red cells on the next, white cells on the last.
    task.size_limits = (20.0, 45.0)
    task.augmentation = "flip"
    # Of the training images, over all channels.
    task.pixel_mean = 0.72
    task.pixel_deviation = 0.1
    task.metric = "ap50"
    task.rejection_locations = 96
    # Areas are in units of the true box: so is the box on which properties are verified.
    task.area_unit = "target"
    config.filters.convergence.box_size = (1.0, 1.0)
    # The paper's verification set has an image of each of 80 categories; there are three here.
    config.filters.rejection.num_samples = 8
    config.filters.rejection.iterations = 200
    config.filters.rejection.learning_rate = 0.01

    config.space.cse_autoloss.fixed_loss = "sigmoid_focal"
    # The weight of losses of boxes that AutoLoss-Zero has.
    config.space.cse_autoloss.regression_weight = 10.0
    # Scores of short trainings are noisy: what promises a little less may be better.
    config.search.generations.slack = 0.02
    config.search.num_trainings = 46

    config.training.optimiser = "adam"
    config.training.learning_rate = 0.005
    config.training.schedule = "polynomial"
    config.training.batch_size = 8
    config.training.num_epochs = 8.0

    config.comparison.handcrafted = ("iou", "giou", "diou", "ciou", "bounded_iou", "box_l1", "box_smooth_l1")
    config.comparison.learning_rate_low = 0.0005
    config.comparison.learning_rate_high = 0.05
    config.comparison.rank_candidates = 6
    config.comparison.rank_seeds = 3
    config.comparison.num_found = 2
    config.comparison.tuning_trainings = 8
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 2
    config.comparison.test_seeds = 3
    return config
