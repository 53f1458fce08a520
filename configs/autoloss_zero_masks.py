"""AutoLoss-Zero on images and masks of your own: a folder, its classes, the metric that you are judged by.

`FOLDER/images/*` and `FOLDER/masks/*` have the same names; masks hold the numbers of classes, 255 where there is none, and
`FOLDER/classes.txt` a name in each line:

    python -m jaxloss.launch --config=configs/autoloss_zero_masks.py \
        --config.task.segmentation.source=folder:FOLDER --workdir=runs/masks

Masks of colours need a table, `--config.task.segmentation.source_options.colours=FILE`; other layouts and numbers are options
too, see `jaxloss.tasks.data.masks.folder`. The metric: `--config.task.segmentation.metric=boundary_f1`, or another that
`--help=task.segmentation.metric` lists. Frames of films need `--config.task.segmentation.block`. Images that do not fit on the
device are streamed: `--config.task.segmentation.training_data=streamed`.

Choose an image size at which a training takes about ten seconds; first look whether anything learns:

    python -m jaxloss.launch --config=configs/autoloss_zero_masks.py --config.task.segmentation.source=folder:FOLDER \
        --config.mode=train --config.loss=cross_entropy --workdir=runs/masks_ce
"""

from jaxloss.config import default_config


def get_config():
    config = default_config()
    config.task.name = "segmentation"
    config.space.autoloss_zero.branches = ("segmentation",)

    task = config.task.segmentation
    task.source = "folder:masks"
    # Proportions are kept; what is padded is void.
    task.image_size = (96, 128)
    task.fitting = "fit"
    task.fractions = (0.6, 0.2, 0.2)
    task.model = "light_unet"
    task.augmentation = "flip"
    task.pixel_mean = 0.45
    task.pixel_deviation = 0.25
    task.metric = "mean_iou"
    task.trimap_width = 2
    task.tolerance = 2
    task.void = "ignored"
    # Whole images would cost more than the trainings.
    task.rejection_window = (32, 32)

    config.search.num_trainings = 240
    # Not the letter of the paper, but what finds better losses: see experiments/search_strength/README.md.
    config.search.preset = "strong"

    # Adam does not see the scale of a loss, so neither does the equivalence check, see configs/quickstart.py.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.01
    config.training.schedule = "polynomial"
    config.training.batch_size = 16
    config.training.num_epochs = 6.0
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True

    config.comparison.handcrafted = ("cross_entropy", "weighted_cross_entropy", "focal", "dice", "lovasz_softmax")
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
