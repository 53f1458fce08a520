"""AutoLoss-Zero on COCO with Mask R-CNN, ResNet-50 and FPN: the numbers of section 4.3 and Appendix A.3.

`annotations/instances_train2017.json`, `annotations/instances_val2017.json`, `train2017` and `val2017` lie in DIR; ImageNet
weights of ResNet-50 in timm or torchvision naming are in FILE:

    python -m jaxloss.launch --config=configs/autoloss_zero_coco_instance.py --config.data_dir=DIR \
        --config.task.instance_segmentation.pretrained=FILE.safetensors --workdir=runs/coco_instance

The search goes over a quarter of COCO 500 times, days on one accelerator; nobody has run it here, but for a miniature in the
tests. What differs from the paper: images are stretched to one size, half of MMDetection's sides, and true masks are kept at
112 x 112 cells in their boxes. Where the search says that there is no headroom for the gain of 0.6, lower
`--config.filters.rejection.minimum_gain`.

The mask branch alone, with the others as in Mask R-CNN:

    --config.space.autoloss_zero.branches="('mask',)" --config.space.autoloss_zero.branch_weights="(1.0,)" \
        --config.space.autoloss_zero.branch_inputs="{}" --config.space.autoloss_zero.fixed_losses="{'rpn_classification': \
        'cross_entropy', 'rpn_regression': 'delta_l1', 'rcnn_classification': 'cross_entropy', 'rcnn_regression': 'delta_l1'}" \
        --config.comparison.handcrafted="('cross_entropy', 'region_dice', 'region_jaccard')"

The paper's own losses, trained like this once more and compared with those of Table 6 (a):

    --config.mode=compare --config.losses="('autoloss_zero_instance',)"
"""

from jaxloss.config import default_config

TRAIN_IMAGES, SEARCH_EVAL_IMAGES = 118_287, 5_000
BATCH_SIZE, WARMUP_STEPS = 32, 250


def get_config():
    config = default_config()
    config.task.name = "instance_segmentation"
    # All five branches at once (A.3); weights are those of A.2, 1 for classes and 10 for boxes, and 1 for masks, of which nothing
    # is said.
    space = config.space.autoloss_zero
    space.branches = ("rpn_classification", "rpn_regression", "rcnn_classification", "rcnn_regression", "mask")
    space.branch_weights = (1.0, 10.0, 1.0, 10.0, 1.0)
    areas = ("intersection", "union", "enclosing")
    space.branch_inputs = {"rpn_regression": areas, "rcnn_regression": areas}

    task = config.task.instance_segmentation
    task.source = "coco:annotations/instances_train2017.json"
    task.source_options = {
        "images": "train2017",
        "test": "annotations/instances_val2017.json",
        "test_images": "val2017",
        # Two of the training boxes have no area.
        "empty": "drop",
    }
    task.image_size = (400, 672)
    # 5,000 training images for search_eval, a quarter of the others to train on (A.3).
    share = SEARCH_EVAL_IMAGES / TRAIN_IMAGES
    task.fractions = (1 - share, share, 0.0)
    task.train_limit = (TRAIN_IMAGES - SEARCH_EVAL_IMAGES) // 4
    task.search_eval_limit = SEARCH_EVAL_IMAGES
    # Masks of a quarter of COCO, with room for 93 objects an image, would take 33 GB.
    task.training_data = "streamed"
    task.mask_resolution = 112
    # Three levels of the pyramid and half of the head's channels, as for detection (A.2, A.3); those of the mask head, of which
    # nothing is said, are halved likewise.
    task.model = "mask_rcnn_resnet50_fpn"
    task.model_options = {
        "num_levels": 3,
        "proposal_channels": 128,
        "head_width": 512,
        "mask_channels": 128,
        "frozen_statistics": True,
    }
    task.augmentation = "flip"
    # ImageNet's, as the weights of the backbone expect.
    task.pixel_mean = (0.485, 0.456, 0.406)
    task.pixel_deviation = (0.229, 0.224, 0.225)
    # "mAP with IoU defined on masks".
    task.metric = "ap"
    # MMDetection's defaults where the papers say nothing: the settings of the task have the rest of them.
    task.anchor_scales = (8.0,)
    task.anchor_ratios = (0.5, 1.0, 2.0)
    task.candidates = 2000

    # Appendix A: 500 evaluations, K = 20, P = 2500, T = 5%, B = 5, eta = 0.6, 500 iterations at 0.001 with momentum 0.9.
    config.search.num_trainings = 500
    config.search.evolution.initial_population = 20
    config.search.evolution.population_size = 2500
    config.search.evolution.tournament_ratio = 0.05
    config.filters.rejection.num_samples = 5
    config.filters.rejection.minimum_gain = 0.6
    config.filters.rejection.iterations = 500
    config.filters.rejection.learning_rate = 0.001

    # A.2: one epoch in batches of 32 at 0.04, behind a linear warm-up of 250 steps; momentum and decay are MMDetection's.
    config.training.optimiser = "sgd"
    config.training.momentum = 0.9
    config.training.weight_decay = 1e-4
    config.training.batch_size = BATCH_SIZE
    config.training.num_epochs = 1.0
    config.training.learning_rate = 0.04
    config.training.schedule = "constant"
    config.training.warmup_epochs = WARMUP_STEPS * BATCH_SIZE / task.train_limit

    # Table 6 (a).
    config.comparison.handcrafted = tuple(
        "rpn_classification: cross_entropy | rpn_regression: delta_l1 | rcnn_classification: cross_entropy | "
        f"rcnn_regression: {boxes} | mask: cross_entropy"
        for boxes in ("delta_l1", "iou", "giou")
    )
    config.comparison.learning_rate_low = 0.004
    config.comparison.learning_rate_high = 0.2
    config.comparison.num_divisions = 1
    return config
