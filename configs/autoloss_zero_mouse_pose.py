"""AutoLoss-Zero on a mouse on a wheel: 17 keypoints, a light network, the share of correct keypoints. Made for one CPU core.

`mirror_mouse_pose.npz` (keys `images`, `keypoints_xy`, `visible`, `split`, `keypoint_names`; 60 frames of 406 x 396 pixels) lies
in DIR. A search from scratch:

    python -m jaxloss.launch --config=configs/autoloss_zero_mouse_pose.py --config.data_dir=DIR --workdir=runs/mouse

What a search found, beside rivals of your choice:

    python -m jaxloss.launch --config=configs/autoloss_zero_mouse_pose.py --config.data_dir=DIR --workdir=runs/mouse_compared \
        --config.mode=compare --config.losses="('FORMULA', 'mse', 'weighted_mse')"

To look whether anything learns:

    python -m jaxloss.launch --config=configs/autoloss_zero_mouse_pose.py --config.data_dir=DIR --workdir=runs/mouse_mse \
        --config.mode=train --config.loss=mse
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    config.task.name = "pose"
    config.space.autoloss_zero.branches = ("heatmap",)

    task = config.task.pose
    task.source = "npz:mirror_mouse_pose.npz"
    # The val of the file is the test set.
    task.fractions = (0.75, 0.25, 0.0)
    task.image_size = (96, 96)
    task.model = "light_pose"
    # Positions of a map are four pixels wide: a peak between them says more than one on the nearest.
    task.sigma = 1.5
    task.centre = "exact"
    # Of the training images.
    task.pixel_mean = 0.165
    task.pixel_deviation = 0.124
    task.metric = "pck"
    # A twentieth of the mouse: 18 pixels of the file, a position of a map.
    task.pck_share = 0.05

    config.search.num_trainings = 120
    # Not the letter of the paper, but what finds better losses: see experiments/search_strength/README.md.
    config.search.preset = "strong"

    # Adam does not see the scale of a loss, so neither does the equivalence check, see configs/quickstart.py.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.005
    config.training.schedule = "polynomial"
    config.training.batch_size = 6
    config.training.num_epochs = 40.0
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True
    # A sample is one keypoint, and is right or wrong.
    config.filters.rejection.num_samples = 10

    config.comparison.handcrafted = ("mse", "weighted_mse", "soft_argmax", "autoloss_zero_pose")
    config.comparison.learning_rate_low = 0.001
    config.comparison.learning_rate_high = 0.05
    config.comparison.rank_candidates = 4
    config.comparison.rank_seeds = 3
    config.comparison.num_found = 2
    config.comparison.tuning_trainings = 8
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 3
    config.comparison.test_seeds = 3
    return config
