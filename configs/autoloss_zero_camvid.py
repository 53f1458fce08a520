"""AutoLoss-Zero on CamVid: street scenes, 11 classes, a light network, for one of six metrics. Made for two CPU cores.

`camvid_240x180_trainval.npz` (keys `train_images`, `train_labels`, `val_images`, `val_labels`, `class_names`; 367 and 101 frames
of 180 x 240 pixels, the split of SegNet) lies in DIR:

    python -m jaxloss.launch --config=configs/autoloss_zero_camvid.py --config.data_dir=DIR --workdir=runs/camvid

for mean IoU, and for boundary F1, whose losses learn from the boundaries of the labels:

    python -m jaxloss.launch --config=configs/autoloss_zero_camvid.py --config.data_dir=DIR --workdir=runs/camvid_bf1 \
        --config.task.segmentation.metric=boundary_f1 --config.filters.rejection.minimum_gain=0.3

The gain is lower there: at edges alone no loss of single positions gains 0.6, since nothing is said of the rest of the map.
`--config.task.segmentation.training_target=labels` has losses learn from the labels in place of their boundaries.

What a search found, beside the paper's loss for the metric and rivals of your choice:

    python -m jaxloss.launch --config=configs/autoloss_zero_camvid.py --config.data_dir=DIR --workdir=runs/camvid_compared \
        --config.mode=compare --config.losses="('FORMULA', 'autoloss_zero_miou', 'cross_entropy')"

To look whether anything learns, in a minute (six trainings; mean IoU on test is about 0.26, 0.02 without training):

    python -m jaxloss.launch --config=configs/autoloss_zero_camvid.py --config.data_dir=DIR --workdir=runs/camvid_ce \
        --config.mode=train --config.loss=cross_entropy
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    config.task.name = "segmentation"
    config.space.autoloss_zero.branches = ("segmentation",)

    task = config.task.segmentation
    task.source = "npz:camvid_240x180_trainval.npz"
    # Half of the frames' size: a training takes seven or eight seconds on two cores.
    task.image_size = (90, 120)
    # The val of the file is the test set.
    task.fractions = (0.75, 0.25, 0.0)
    # Frames of a film look like those beside them.
    task.block = 20
    task.search_eval_limit = 60
    task.model = "light_unet"
    task.augmentation = "flip"
    # Of the training frames, over all channels.
    task.pixel_mean = 0.42
    task.pixel_deviation = 0.3
    # A pixel of this size is two and two thirds of the camera's: the paper's five pixels would be two of these.
    task.trimap_width = 2
    task.tolerance = 2
    # Void is unlabelled ground here, not a line around objects.
    task.void = "ignored"

    # Twelve times as many candidates go through the protocol in the same time as with whole images.
    task.rejection_window = (30, 30)

    config.search.num_trainings = 240
    # Not the letter of the paper, but what finds better losses: see experiments/search_strength/README.md.
    config.search.preset = "strong"

    # Adam does not see the scale of a loss, so neither does the equivalence check, see configs/quickstart.py.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.02
    config.training.schedule = "polynomial"
    # Level with twice as many images a step and as good as many steps, in half the time.
    config.training.batch_size = 8
    config.training.num_epochs = 4.0
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True

    config.comparison.handcrafted = (
        "cross_entropy",
        "weighted_cross_entropy",
        "focal",
        "dice",
        "tversky",
        "lovasz_softmax",
        "soft_jaccard",
        "boundary_cross_entropy",
        "structural_similarity",
        # What the paper found for the two metrics on PASCAL VOC.
        "autoloss_zero_miou",
        "autoloss_zero_bf1",
    )
    config.comparison.learning_rate_low = 0.002
    config.comparison.learning_rate_high = 0.05
    config.comparison.rank_candidates = 6
    config.comparison.rank_seeds = 3
    config.comparison.num_found = 2
    config.comparison.tuning_trainings = 12
    config.comparison.tuning_finalists = 3
    config.comparison.tuning_seeds = 3
    config.comparison.test_seeds = 3
    return config
