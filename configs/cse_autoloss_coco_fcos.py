"""CSE-Autoloss on COCO with FCOS and ResNet-50: the regression branch, every number of Section 4 of the paper.

`annotations/instances_train2017.json` and `instances_val2017.json`, `train2017` and `val2017` lie in DIR; ImageNet weights of
ResNet-50 in timm or torchvision naming are in FILE:

    python -m jaxloss.launch --config=configs/cse_autoloss_coco_fcos.py --config.data_dir=DIR \
        --config.task.detection.pretrained=FILE.safetensors --workdir=runs/cse_coco_fcos

For the classification branch (Section 4.4: a population of 10,000; the paper evaluates more losses there, without a number):

    --config.space.cse_autoloss.branches="('classification',)" --config.space.cse_autoloss.fixed_loss=giou \
        --config.search.seeds="('fli',)" --config.search.generation_size=10000 --config.filters.rejection.variable=logits \
        --config.comparison.handcrafted="('sigmoid_focal',)"

For ATSS, on which the paper tests what it found:

    --config.task.detection.assignment=atss --config.task.detection.maximum_iou=0.6

A loss alone is trained for the twelve epochs of MMDetection's schedule with

    --config.mode=train --config.loss="classification: sigmoid_focal | regression: giou" --config.training.num_epochs=12 \
        --config.training.schedule=steps --config.training.step_epochs="(8.0, 11.0)" \
        --config.task.detection.fractions="(0.99, 0.01, 0.0)"

The paper gives a training half an hour on four GPUs, and a generation of this branch about ten trainings. Nothing at this size
has been run with this file: a test runs it in miniature. What the paper does not say, or what differs, is in the comments.
"""

from jaxloss.config import default_config

# Of the images of train2017.
SEARCH_EVAL_IMAGES, TRAIN_IMAGES = 10_000, 118_287
BATCH_SIZE = 16
# What MMDetection, whose settings the paper takes, does at the beginning of a training.
WARMUP_STEPS, WARMUP_START = 500, 1 / 3


def get_config():
    config = default_config("cse_autoloss")
    config.task.name = "detection"
    task = config.task.detection
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
    task.pixel_mean = (0.485, 0.456, 0.406)
    task.pixel_deviation = (0.229, 0.224, 0.225)

    # "ResNet-50 and Feature Pyramid Network"; statistics of BatchNorm are those of ImageNet.
    task.model = "fcos_resnet50"
    task.model_options = {"frozen_statistics": True}
    # "centerness on regression, and center sampling", "IoU scores as the target" of the quality.
    task.assignment = "fcos"
    task.centre_radius = 1.5
    task.regression_weights = "centreness"
    task.quality_target = "iou"
    task.quality_weight = 1.0
    # As in the published code; the box of the verification is in the same unit.
    task.area_unit = "pixels"
    config.filters.convergence.box_size = (96.0, 64.0)
    task.metric = "ap"
    task.minimum_score = 0.05
    task.maximum_iou = 0.5
    task.most_detections = 100
    # MMDetection takes so many of each level; here they are the surest of all.
    task.candidates = 1000
    task.evaluation_batch = 8

    # "GIoU loss as predefined initial loss", "FL serving as the fixed classification loss"; a population of 1,000, of which
    # about 10 are trained in each generation. Weights are 1, as in MMDetection.
    config.search.seeds = ("giou",)
    config.search.generation_size = 1000
    config.search.generations.kept = 10
    config.space.cse_autoloss.fixed_loss = "sigmoid_focal"
    config.space.cse_autoloss.classification_weight = 1.0
    config.space.cse_autoloss.regression_weight = 1.0
    # One random image of each category in the paper: as many images, drawn at random, and predictions are optimised in
    # place of a network, at so many locations of each.
    config.filters.rejection.num_samples = 80
    task.rejection_locations = 128

    # One epoch of all of COCO, 16 images a step; SGD as in MMDetection's FCOS.
    config.training.optimiser = "sgd"
    config.training.momentum = 0.9
    config.training.weight_decay = 1e-4
    config.training.learning_rate = 0.01
    config.training.schedule = "constant"
    config.training.batch_size = BATCH_SIZE
    config.training.num_epochs = 1.0
    config.training.warmup_epochs = WARMUP_STEPS * BATCH_SIZE / (TRAIN_IMAGES - SEARCH_EVAL_IMAGES)
    config.training.warmup_start = WARMUP_START
    config.training.clip_norm = 35.0

    # The paper compares under the same hyper-parameters, which four rates around its own nearly are; one seed.
    config.comparison.handcrafted = ("giou", "iou", "bounded_iou")
    config.comparison.learning_rate_low = 0.005
    config.comparison.learning_rate_high = 0.02
    config.comparison.rank_candidates = 3
    config.comparison.rank_seeds = 1
    config.comparison.num_found = 1
    config.comparison.tuning_trainings = 4
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 1
    config.comparison.test_seeds = 1
    return config
