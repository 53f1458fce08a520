"""AutoLoss-GMS on Market-1501 with ResNet-50, by the letter: every number of Table 2 and Section G.

The folder `Market-1501` (with `bounding_box_train`, `query` and `bounding_box_test`, file names such as
`0002_c1s1_000451_03.jpg`) lies in DIR; ImageNet weights in timm or torchvision naming are in FILE:

    python -m jaxloss.launch --config=configs/autoloss_gms_market1501.py --config.data_dir=DIR \
        --config.task.retrieval.pretrained=FILE.safetensors --workdir=runs/gms_market

The search trains 500 networks for 140 epochs on images of half the resolution, with 80% of the training identities: hours on
each of several accelerators. The loss that was found is then trained at full resolution on all training identities:

    python -m jaxloss.launch --config=configs/autoloss_gms_market1501.py --config.data_dir=DIR \
        --config.task.retrieval.pretrained=FILE.safetensors --config.mode=train --config.loss='t: ... | n: ... | log2_s: ...' \
        --config.task.retrieval.image_size='(256, 128)' --config.task.retrieval.augmentation_options.padding=10 \
        --config.task.retrieval.train_on_all=true --workdir=runs/gms_market_final

OSNet takes the same images: `--config.task.retrieval.model=osnet`. MGN takes images of 384 x 128, and half of that in the search:
`--config.task.retrieval.model=mgn --config.task.retrieval.image_size='(192, 64)' --config.task.retrieval.triplet_weight=1`.

Other data sets: `--config.task.retrieval.source=market:DukeMTMC-reID` (the same layout), `market:cuhk03-np/labeled`,
`msmt17:MSMT17_V1`. To test on another one than was trained on: `--config.task.retrieval.test_source=msmt17:MSMT17_V1`.
"""

from jaxloss.config import default_config
from jaxloss.systems.autoloss_gms.published import MARGIN_SOFTMAX_FORMULAS


def get_config():
    config = default_config("autoloss_gms")
    task = config.task.retrieval
    task.source = "market:Market-1501"
    # Half of (256, 128), for the proxy task (Section G.1).
    task.image_size = (128, 64)
    task.train_fraction = 0.8
    task.queries = "one_per_camera"
    task.model = "resnet50"
    task.identities_per_batch = 16
    task.images_per_identity = 4
    task.augmentation = "crop_flip_erase"
    task.augmentation_options = {"padding": 5}
    task.pixel_mean = (0.485, 0.456, 0.406)
    task.pixel_deviation = (0.229, 0.224, 0.225)
    task.flip_test = True

    config.search.num_trainings = 500
    # From prior knowledge; leave them out (--config.search.seeds="()") to search from scratch.
    config.search.seeds = tuple(MARGIN_SOFTMAX_FORMULAS.values())
    config.search.chooser.enabled = True
    # The paper's predictor: a 1-D ResNet-50.
    config.search.chooser.predictor.depth = 50
    config.search.chooser.predictor.width = 64

    # Section G.2: 140 epochs, the rate from 0.0001 to 0.01 in the first 20 of them, during which the backbone stands still.
    config.training.optimiser = "sgd"
    config.training.learning_rate = 0.01
    config.training.momentum = 0.9
    config.training.weight_decay = 5e-4
    config.training.batch_size = 64
    config.training.num_epochs = 140.0
    config.training.warmup_epochs = 20.0
    config.training.warmup_start = 0.01
    config.training.frozen_epochs = 20.0
    config.training.schedule = "steps"
    config.training.step_epochs = (60.0, 100.0)

    config.comparison.handcrafted = ("normalised_softmax", "sphereface", "cosface", "arcface", "circle")
    config.comparison.learning_rate_low = 0.002
    config.comparison.learning_rate_high = 0.05
    config.comparison.num_divisions = 1
    return config
