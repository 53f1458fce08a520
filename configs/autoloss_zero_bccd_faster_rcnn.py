"""AutoLoss-Zero on blood cells with a tiny Faster R-CNN: all four branches at once, for COCO's average precision.

Both stages have a loss for classes and one for boxes, as in the paper. Made for two CPU cores. `bccd_256x192.npz` (see
`configs/autoloss_zero_bccd.py`) lies in DIR:

    python -m jaxloss.launch --config=configs/autoloss_zero_bccd_faster_rcnn.py --config.data_dir=DIR --workdir=runs/faster_rcnn

To look whether anything learns (AP50 on the test is about 0.78):

    python -m jaxloss.launch --config=configs/autoloss_zero_bccd_faster_rcnn.py --config.data_dir=DIR --workdir=runs/ce_giou \\
        --config.mode=train --config.loss="rpn_classification: cross_entropy | rpn_regression: giou | \\
        rcnn_classification: cross_entropy | rcnn_regression: giou"
"""

from jaxloss.config import default_config

# Li et al., CVPR 2022, Table 4: cross-entropy with L1 of deltas, with IoU and with GIoU.
RIVALS = tuple(
    f"rpn_classification: cross_entropy | rpn_regression: {rpn} | rcnn_classification: cross_entropy | rcnn_regression: {rcnn}"
    for rpn, rcnn in (("delta_l1", "delta_l1"), ("delta_smooth_l1", "delta_smooth_l1"), ("iou", "iou"), ("giou", "giou"))
)


def get_config():
    config = default_config()
    config.task.name = "two_stage_detection"
    space = config.space.autoloss_zero
    space.branches = ("rpn_classification", "rpn_regression", "rcnn_classification", "rcnn_regression")
    # Of the supplement: 1 for classes, 10 for boxes.
    space.branch_weights = (1.0, 10.0, 1.0, 10.0)
    areas = ("intersection", "union", "enclosing")
    space.branch_inputs = {"rpn_regression": areas, "rcnn_regression": areas}

    task = config.task.two_stage_detection
    task.source = "npz:bccd_256x192.npz"
    # The val of the file is the test set.
    task.fractions = (0.75, 0.25, 0.0)
    # Platelets are 15 pixels wide, red cells 40, white cells 90.
    task.anchor_scales = (2.5,)
    # 192 x 256 pixels hold a few dozen cells, not a few hundred regions.
    task.rpn_samples = 64
    task.proposal_candidates = 100
    task.num_proposals = 64
    task.rcnn_samples = 48
    task.augmentation = "flip"
    # Of the training images, over all channels.
    task.pixel_mean = 0.72
    task.pixel_deviation = 0.1
    task.metric = "ap50"

    config.search.num_trainings = 120
    # Not the letter of the paper, but what finds better losses: see experiments/search_strength/README.md.
    config.search.preset = "strong"

    # Adam does not see the scale of a loss, so neither does the equivalence check, see configs/quickstart.py.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.005
    config.training.schedule = "polynomial"
    config.training.batch_size = 8
    config.training.num_epochs = 8.0
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True
    # Anchors that match a cell overlap it far enough for some of COCO's thresholds already.
    config.filters.rejection.minimum_gain = 0.3

    config.comparison.handcrafted = RIVALS
    config.comparison.learning_rate_low = 0.001
    config.comparison.learning_rate_high = 0.03
    config.comparison.rank_candidates = 4
    config.comparison.rank_seeds = 3
    config.comparison.num_found = 2
    config.comparison.tuning_trainings = 8
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 3
    config.comparison.test_seeds = 3
    return config
