"""CSE-Autoloss on COCO with Faster R-CNN and ResNet-50: the regression branch of its second stage, the numbers of Section 4.

`annotations/instances_train2017.json` and `instances_val2017.json`, `train2017` and `val2017` lie in DIR; ImageNet weights of
ResNet-50 in timm or torchvision naming are in FILE:

    python -m jaxloss.launch --config=configs/cse_autoloss_coco_faster_rcnn.py --config.data_dir=DIR \
        --config.task.two_stage_detection.pretrained=FILE.safetensors --workdir=runs/cse_coco_faster_rcnn

For the classification branch (Section 4: from the cross-entropy with the overlap, the generalised overlap fixed; a population of
10,000, of which Table 5 evaluated 50 losses):

    --config.space.cse_autoloss.branches="('rcnn_classification',)" --config.space.cse_autoloss.fixed_loss=giou \
        --config.search.seeds="('cei',)" --config.search.generation_size=10000 --config.search.num_trainings=50 \
        --config.filters.rejection.variable=logits --config.comparison.handcrafted="('cross_entropy',)"

What it published, trained for the twelve epochs of MMDetection's schedule:

    --config.mode=train --config.space.cse_autoloss.branches="('rcnn_classification', 'rcnn_regression')" \
        --config.loss="rcnn_classification: Neg(Dot(Mul(target, Add(1, Sin(overlap))), Log(Softmax(logits)))) | rcnn_regression: \
        Add(Sub(1, Div(intersection, union)), Div(Sub(Sub(enclosing, intersection), 2), enclosing))" \
        --config.training.num_epochs=12 --config.training.schedule=steps --config.training.step_epochs="(8.0, 11.0)" \
        --config.task.two_stage_detection.fractions="(0.99, 0.01, 0.0)"

Nothing at this size has been run with this file: a test runs it in miniature. What the paper does not say, or what differs, is in
the comments.
"""

from jaxloss.config import default_config

# Of the images of train2017.
SEARCH_EVAL_IMAGES, TRAIN_IMAGES = 10_000, 118_287
BATCH_SIZE = 16
# What MMDetection, whose settings the paper takes, does at the beginning of a training.
WARMUP_STEPS, WARMUP_START = 500, 0.001


def get_config():
    config = default_config("cse_autoloss")
    config.task.name = "two_stage_detection"
    task = config.task.two_stage_detection
    task.source = "coco:annotations/instances_train2017.json"
    task.source_options = {
        "images": "train2017",
        "test": "annotations/instances_val2017.json",
        "test_images": "val2017",
        # Two of the training boxes have no area.
        "empty": "drop",
    }
    # 10,000 random training images are search_eval; val2017 is the test set.
    share = SEARCH_EVAL_IMAGES / TRAIN_IMAGES
    task.fractions = (1 - share, share, 0.0)
    # MMDetection scales each image to a short side of 800, at most 1333; here all go into one frame, proportions kept.
    task.image_size = (800, 1344)
    task.fitting = "fit"
    task.training_data = "streamed"
    task.augmentation = "flip"
    # ImageNet's, as the weights of the backbone expect.
    task.pixel_mean = (0.485, 0.456, 0.406)
    task.pixel_deviation = (0.229, 0.224, 0.225)

    # "ResNet-50 and Feature Pyramid Network"; statistics of BatchNorm are those of ImageNet. Anchors, samples and proposals are
    # MMDetection's, which the settings of the task have.
    task.model = "faster_rcnn_resnet50_fpn"
    task.model_options = {"frozen_statistics": True}
    # As in the published code; the box of the verification is in the same unit.
    task.area_unit = "pixels"
    config.filters.convergence.box_size = (96.0, 64.0)
    task.metric = "ap"
    task.candidates = 1000
    task.evaluation_batch = 8

    # "GIoU loss as predefined initial loss", "CE ... serving as the fixed classification loss"; the first stage is not searched
    # and has MMDetection's losses.
    config.space.cse_autoloss.branches = ("rcnn_regression",)
    config.space.cse_autoloss.fixed_loss = "cross_entropy"
    config.space.cse_autoloss.fixed_losses = {"rpn_classification": "cross_entropy", "rpn_regression": "delta_l1"}
    config.search.seeds = ("giou",)
    config.search.generation_size = 1000
    config.search.generations.kept = 10
    config.space.cse_autoloss.classification_weight = 1.0
    # "loss weights are set default as MMDetection", which has 10 for losses of this kind in Faster R-CNN, and 1 for L1.
    config.space.cse_autoloss.regression_weight = 10.0
    # One random image of each category in the paper: as many images, drawn at random, and predictions are optimised in
    # place of a network.
    config.filters.rejection.num_samples = 80

    # One epoch of all of COCO, 16 images a step; SGD as in MMDetection's Faster R-CNN.
    config.training.optimiser = "sgd"
    config.training.momentum = 0.9
    config.training.weight_decay = 1e-4
    config.training.learning_rate = 0.02
    config.training.schedule = "constant"
    config.training.batch_size = BATCH_SIZE
    config.training.num_epochs = 1.0
    config.training.warmup_epochs = WARMUP_STEPS * BATCH_SIZE / (TRAIN_IMAGES - SEARCH_EVAL_IMAGES)
    config.training.warmup_start = WARMUP_START

    # The paper compares under the same hyper-parameters, which four rates around its own nearly are; one seed.
    config.comparison.handcrafted = ("giou", "iou", "bounded_iou", "delta_l1")
    config.comparison.learning_rate_low = 0.01
    config.comparison.learning_rate_high = 0.04
    config.comparison.rank_candidates = 3
    config.comparison.rank_seeds = 1
    config.comparison.num_found = 1
    config.comparison.tuning_trainings = 4
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 1
    config.comparison.test_seeds = 1
    return config
