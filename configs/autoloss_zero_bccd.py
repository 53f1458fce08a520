"""AutoLoss-Zero on blood cells: object detection, 3 classes, a tiny FCOS, COCO's average precision. Made for two CPU cores.

`bccd_256x192.npz` (keys `images`, `boxes_xyxy`, `box_image`, `box_label`, `split`, `class_names`; 182 images of 192 x 256 pixels
with 2,464 boxes) lies in DIR. Both branches are searched at once, from scratch:

    python -m jaxloss.launch --config=configs/autoloss_zero_bccd.py --config.data_dir=DIR --workdir=runs/bccd

What a search found, beside rivals of your choice:

    python -m jaxloss.launch --config=configs/autoloss_zero_bccd.py --config.data_dir=DIR --workdir=runs/bccd_compared \
        --config.mode=compare \
        --config.losses="('FORMULA', 'classification: focal | regression: giou')"

To look whether anything learns (six trainings, five minutes on one core; AP50 on test is about 0.6):

    python -m jaxloss.launch --config=configs/autoloss_zero_bccd.py --config.data_dir=DIR --workdir=runs/bccd_focal_giou \
        --config.mode=train --config.loss="classification: focal | regression: giou"
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    config.task.name = "detection"
    space = config.space.autoloss_zero
    space.branches = ("classification", "regression")
    # Of the supplement: 1 for classes, 10 for boxes.
    space.branch_weights = (1.0, 10.0)
    space.branch_inputs = {"regression": ("intersection", "union", "enclosing")}

    task = config.task.detection
    task.source = "npz:bccd_256x192.npz"
    # The val of the file is the test set.
    task.fractions = (0.75, 0.25, 0.0)
    task.model = "tiny_fcos"
    # Platelets on the finest level, red cells on the next, white cells on the last.
    task.size_limits = (20.0, 45.0)
    # Background is a class, as in the paper: a loss that reads the targets alone can then train a detector.
    task.probabilities = "softmax"
    task.augmentation = "flip"
    # Of the training images, over all channels.
    task.pixel_mean = 0.72
    task.pixel_deviation = 0.1
    task.metric = "ap50"
    # All 1,008 locations of an image would cost more than the trainings.
    task.rejection_locations = 96

    config.search.num_trainings = 120
    # Not the letter of the paper, but what finds better losses: see experiments/search_strength/README.md.
    config.search.preset = "strong"

    # Adam does not see the scale of a loss, so neither does the equivalence check, see configs/quickstart.py.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.01
    config.training.schedule = "polynomial"
    config.training.batch_size = 8
    config.training.num_epochs = 8.0
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True
    # Boxes of the untrained network overlap the cells already.
    config.filters.rejection.minimum_gain = 0.3

    config.comparison.handcrafted = (
        "classification: focal | regression: giou",
        "classification: focal | regression: iou",
        "classification: cross_entropy | regression: giou",
        "classification: cross_entropy | regression: box_l1",
    )
    config.comparison.learning_rate_low = 0.003
    config.comparison.learning_rate_high = 0.05
    config.comparison.rank_candidates = 4
    config.comparison.rank_seeds = 3
    config.comparison.num_found = 2
    config.comparison.tuning_trainings = 8
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 3
    config.comparison.test_seeds = 3
    return config
