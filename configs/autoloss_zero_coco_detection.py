"""AutoLoss-Zero on COCO with Faster R-CNN, ResNet-50 and FPN: the numbers of section 4.2 and Appendix A.2.

`annotations/instances_train2017.json`, `annotations/instances_val2017.json`, `train2017` and `val2017` lie in DIR; ImageNet
weights of ResNet-50 in timm or torchvision naming are in FILE:

    python -m jaxloss.launch --config=configs/autoloss_zero_coco_detection.py --config.data_dir=DIR \\
        --config.task.two_stage_detection.pretrained=FILE.safetensors --workdir=runs/coco

What differs from the paper: images are stretched to one size, half of MMDetection's sides, because all of them lie in memory
(29 GB); the search goes over a quarter of COCO 500 times, days on one accelerator. On 8 devices:
`--config.execution.mode=data_parallel`. Where the search says that there is no headroom for the gain of 0.6, lower
`--config.filters.rejection.minimum_gain`.

The paper's own losses, trained like this once more and compared with cross-entropy and boxes by L1, IoU and GIoU (Table 4):

    python -m jaxloss.launch --config=configs/autoloss_zero_coco_detection.py --config.data_dir=DIR \\
        --config.task.two_stage_detection.pretrained=FILE.safetensors --workdir=runs/coco_published --config.mode=compare \\
        --config.losses="('autoloss_zero_detection',)"
"""

from jaxloss.config import default_config

TRAIN_IMAGES, SEARCH_EVAL_IMAGES = 118_287, 5_000
BATCH_SIZE, WARMUP_STEPS = 32, 250


def get_config():
    config = default_config()
    config.task.name = "two_stage_detection"
    # All four branches at once, with weights of 1 for classes and 10 for boxes (A.2).
    space = config.space.autoloss_zero
    space.branches = ("rpn_classification", "rpn_regression", "rcnn_classification", "rcnn_regression")
    space.branch_weights = (1.0, 10.0, 1.0, 10.0)
    areas = ("intersection", "union", "enclosing")
    space.branch_inputs = {"rpn_regression": areas, "rcnn_regression": areas}

    task = config.task.two_stage_detection
    task.source = "coco:annotations/instances_train2017.json"
    task.source_options = {
        "images": "train2017",
        "test": "annotations/instances_val2017.json",
        "test_images": "val2017",
    }
    task.image_size = (400, 672)
    # 5,000 random training images are search_eval, a quarter of the others is trained on (A.2).
    share = SEARCH_EVAL_IMAGES / TRAIN_IMAGES
    task.fractions = (1 - share, share, 0.0)
    task.train_limit = (TRAIN_IMAGES - SEARCH_EVAL_IMAGES) // 4
    task.search_eval_limit = SEARCH_EVAL_IMAGES
    # Three levels of the pyramid, and half of the head's channels (A.2).
    task.model = "faster_rcnn_resnet50_fpn"
    task.model_options = {"num_levels": 3, "proposal_channels": 128, "head_width": 512, "frozen_statistics": True}
    task.augmentation = "flip"
    # ImageNet's, as the weights of the backbone expect.
    task.pixel_mean = (0.485, 0.456, 0.406)
    task.pixel_deviation = (0.229, 0.224, 0.225)
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

    # Table 4.
    boxes = (("delta_l1", "delta_l1"), ("delta_l1", "iou"), ("delta_l1", "giou"))
    config.comparison.handcrafted = tuple(
        f"rpn_classification: cross_entropy | rpn_regression: {rpn} | "
        f"rcnn_classification: cross_entropy | rcnn_regression: {rcnn}"
        for rpn, rcnn in boxes
    )
    config.comparison.learning_rate_low = 0.004
    config.comparison.learning_rate_high = 0.2
    config.comparison.num_divisions = 1
    return config
