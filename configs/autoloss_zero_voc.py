"""AutoLoss-Zero on PASCAL VOC 2012 with DeepLabv3+, by the letter: every number of section 4.1 and Appendix A.1.

`VOCdevkit/VOC2012` with the folder `SegmentationClassAug` (the masks of SBD, converted) in it lies in DIR; ImageNet weights of
ResNet-50 and ResNet-101 in timm or torchvision naming are in FILE50 and FILE101:

    python -m jaxloss.launch --config=configs/autoloss_zero_voc.py --config.data_dir=DIR \
        --config.task.segmentation.pretrained=FILE50.safetensors --workdir=runs/voc_miou

for mean IoU; `--config.task.segmentation.metric=` takes the other five metrics. Losses for `boundary_f1` and `boundary_iou`
learn from the boundaries of the labels. At edges alone few losses gain the 0.6 that the paper asks for: where the search gives up
for want of candidates, lower `--config.filters.rejection.minimum_gain`.

The search trains 500 networks for 3 epochs at 128 x 128, hours on an accelerator. The loss that was found is then trained for 30
epochs at 512 x 512 with ResNet-101 as Chen et al., ECCV 2018, train (scales 0.5 to 2, mirrored, from 0.007 in batches of 16), and
tested on the 1,449 images of val; search_eval, which may not be empty, keeps a hundredth of the training images:

    python -m jaxloss.launch --config=configs/autoloss_zero_voc.py --config.data_dir=DIR --workdir=runs/voc_final \
        --config.mode=train --config.loss='FORMULA' --config.task.segmentation.model=deeplabv3plus_resnet101 \
        --config.task.segmentation.pretrained=FILE101.safetensors --config.task.segmentation.image_size='(512, 512)' \
        --config.task.segmentation.fitting=fit --config.task.segmentation.fractions='(0.99, 0.01, 0.0)' \
        --config.task.segmentation.augmentation=scale_crop_flip \
        --config.task.segmentation.augmentation_options.crop_size='(512, 512)' \
        --config.task.segmentation.training_data=streamed --config.training.num_epochs=30 --config.training.learning_rate=0.007 \
        --config.training.end_factor=0.0 --config.training.head_factor=1.0 --config.training.batch_size=16

PSPNet, as in Table 3: `--config.task.segmentation.model=pspnet_resnet50`. Cityscapes:
`--config.task.segmentation.source=cityscapes:FOLDER` with `--config.task.segmentation.source_options.sbd=''`.
"""

from jaxloss.config import default_config

# Of the 10,582 images of train_aug.
SEARCH_EVAL_IMAGES, TRAIN_AUG_IMAGES = 1500, 10582


def get_config():
    config = default_config()
    config.task.name = "segmentation"
    config.space.autoloss_zero.branches = ("segmentation",)

    task = config.task.segmentation
    # "PASCAL VOC 2012 with extra annotations" (4.1).
    task.source = "voc:VOCdevkit/VOC2012"
    task.source_options = {"sbd": "SegmentationClassAug"}
    # Images of 128 x 128 in the search (4.1).
    task.image_size = (128, 128)
    # 1,500 random training images are search_eval (A.1); val is the test set.
    share = SEARCH_EVAL_IMAGES / TRAIN_AUG_IMAGES
    task.fractions = (1 - share, share, 0.0)
    # "DeepLabv3+ with ResNet-50" (A.1). Of the auxiliary head nothing is said, and DeepLabv3+ has none.
    task.model = "deeplabv3plus_resnet50"
    task.auxiliary_weight = 0.0
    # ImageNet's, as the weights of the backbone expect.
    task.pixel_mean = (0.485, 0.456, 0.406)
    task.pixel_deviation = (0.229, 0.224, 0.225)
    task.metric = "mean_iou"
    # The evaluator of Auto Seg-Loss, which the boundary metrics are taken from: 5 pixels, void counted.
    task.trimap_width = 5
    task.tolerance = 5
    task.void = "counted"

    # Appendix A: 500 evaluations, K = 20, P = 2500, T = 5%, B = 5, eta = 0.6, 500 iterations at 0.001 with momentum 0.9.
    config.search.num_trainings = 500
    config.search.evolution.initial_population = 20
    config.search.evolution.population_size = 2500
    config.search.evolution.tournament_ratio = 0.05
    config.filters.rejection.num_samples = 5
    config.filters.rejection.minimum_gain = 0.6
    config.filters.rejection.iterations = 500
    config.filters.rejection.learning_rate = 0.001

    # A.1: SGD with momentum 0.9, weight decay 5e-4, 3 epochs in batches of 32, from 0.02 by a polynomial of power 0.9 to 0.0001.
    config.training.optimiser = "sgd"
    config.training.momentum = 0.9
    config.training.weight_decay = 5e-4
    config.training.batch_size = 32
    config.training.num_epochs = 3.0
    config.training.learning_rate = 0.02
    config.training.schedule = "polynomial"
    config.training.polynomial_power = 0.9
    config.training.end_factor = 1e-4 / 0.02
    # Ten times the rate in the head (A.1).
    config.training.head_factor = 10.0

    # Table 2's hand-crafted losses, as far as they are here.
    config.comparison.handcrafted = (
        "cross_entropy",
        "weighted_cross_entropy",
        "boundary_cross_entropy",
        "structural_similarity",
        "dice",
        "lovasz_softmax",
        "soft_jaccard",
    )
    config.comparison.learning_rate_low = 0.002
    config.comparison.learning_rate_high = 0.1
    config.comparison.num_divisions = 1
    return config
