"""AutoLoss-Zero on COCO's keypoints with SimpleBaseline, by the letter: every number of Section 4.4 and Appendix A.4.

`annotations/person_keypoints_train2017.json` and `..._val2017.json` with the folders `train2017` and `val2017` lie in DIR;
ImageNet weights of ResNet-50 in timm or torchvision naming are in FILE:

    python -m jaxloss.launch --config=configs/autoloss_zero_coco_pose.py --config.data_dir=DIR \
        --config.task.pose.pretrained=FILE.safetensors --workdir=runs/coco_pose

The search trains 500 networks for 4 epochs on 145,000 persons: for many accelerators; nobody has run it here. The persons,
cut out at 256 x 192, take 22 GB in memory and as many on the device; `--config.task.pose.train_limit=20000` makes a proxy of it.

The loss that was found is then trained for 210 epochs as MMPose does:

    python -m jaxloss.launch --config=configs/autoloss_zero_coco_pose.py --config.data_dir=DIR --workdir=runs/coco_pose_final \
        --config.task.pose.pretrained=FILE.safetensors --config.mode=train --config.loss='FORMULA' \
        --config.task.pose.fractions='(0.99, 0.01, 0.0)' --config.training.num_epochs=210 --config.training.schedule=steps \
        --config.training.step_epochs='(170.0, 200.0)' --config.training.batch_size=512 --config.training.learning_rate=0.0005 \
        --config.training.warmup_epochs=1.7
"""

from jaxloss.config import default_config

# Persons with a visible keypoint who are no crowd, in train2017, and those that a search is scored on.
PERSONS, SEARCH_EVAL_PERSONS = 149_813, 5_000


def get_config():
    config = default_config()
    config.task.name = "pose"
    config.space.autoloss_zero.branches = ("heatmap",)

    task = config.task.pose
    task.source = "coco:annotations/person_keypoints_train2017.json"
    task.source_options = {
        "images": "train2017",
        "test": "annotations/person_keypoints_val2017.json",
        "test_images": "val2017",
    }
    # 5,000 random training images are search_eval (A.4): here as many persons.
    share = SEARCH_EVAL_PERSONS / PERSONS
    task.fractions = (1 - share, share, 0.0)
    # "the network predicts a 64 x 48 heatmap" (A.4), of images of 256 x 192 (Xiao et al., ECCV 2018), with sigma 2.
    task.image_size = (256, 192)
    task.sigma = 2.0
    task.centre = "rounded"
    task.model = "simple_baseline_resnet50"
    # Mirrored, turned by 40 degrees, scaled by 30 per cent (Xiao et al.).
    task.augmentation = "affine_flip"
    task.rotation = 40.0
    task.scaling = 0.3
    parts = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    task.flip_pairs = {f"left_{part}": f"right_{part}" for part in parts}
    # ImageNet's, as the weights of the backbone expect.
    task.pixel_mean = (0.485, 0.456, 0.406)
    task.pixel_deviation = (0.229, 0.224, 0.225)
    task.metric = "ap"
    task.oks_constants = "coco"
    task.oks_area = "annotated"

    # Appendix A: 500 evaluations, K = 20, P = 2500, T = 5%, B = 5, eta = 0.6, 500 iterations at 0.001 with momentum 0.9.
    config.search.num_trainings = 500
    config.search.evolution.initial_population = 20
    config.search.evolution.population_size = 2500
    config.search.evolution.tournament_ratio = 0.05
    config.filters.rejection.num_samples = 5
    config.filters.rejection.minimum_gain = 0.6
    config.filters.rejection.iterations = 500
    config.filters.rejection.learning_rate = 0.001

    # A.4: Adam, 4 epochs in batches of 256, from 0.00025 along a cosine, with a linear warm-up of 250 steps.
    config.training.optimiser = "adam"
    config.training.batch_size = 256
    config.training.num_epochs = 4.0
    config.training.learning_rate = 2.5e-4
    config.training.schedule = "cosine"
    config.training.warmup_epochs = 250 * 256 / (PERSONS - SEARCH_EVAL_PERSONS)

    # Table 6 (b).
    config.comparison.handcrafted = ("mse", "autoloss_zero_pose")
    config.comparison.learning_rate_low = 1e-4
    config.comparison.learning_rate_high = 1e-3
    config.comparison.num_divisions = 1
    return config
