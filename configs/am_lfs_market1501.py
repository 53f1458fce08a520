"""AM-LFS on Market-1501 with MGN: the eight softmax branches are replaced, the triplet loss stays (Section 4.1).

The folder `Market-1501` (see `autoloss_gms_market1501.py`) lies in DIR; ImageNet weights, as there, are in FILE:

    python -m jaxloss.launch --config=configs/am_lfs_market1501.py --config.data_dir=DIR \\
        --config.task.retrieval.pretrained=FILE.safetensors --workdir=runs/am_lfs_market

32 copies of MGN train for 80 epochs, for accelerators; it was never run on these data, only in miniature on others. In Table 4,
MGN(RK) is the network that is kept, ranked again: `--config.task.retrieval.rerank=true`. The reward is mAP on a fifth of the
training identities, since the paper does not say which images it was computed on.

On characters, in miniature: five minutes on a CPU, for a look at how the parts work together and nothing else:

    python -m jaxloss.launch --config=configs/am_lfs_market1501.py --config.data_dir=DIR --workdir=runs/am_lfs_mgn_small \\
        --config.task.retrieval.source=npz:omniglot_7alphabets.npz --config.task.retrieval.source_options="{'image_key': \\
        'images28', 'identity_key': 'labels', 'camera_key': 'drawer', 'split_key': 'split'}" \\
        --config.task.retrieval.image_size="(96, 32)" --config.task.retrieval.model_options="{'width': 4, 'depths': \\
        (1, 1, 1, 1), 'embedding_size': 8}" --config.task.retrieval.pixel_mean=0.1 --config.task.retrieval.pixel_deviation=0.3 \\
        --config.task.retrieval.augmentation=crop --config.task.retrieval.flip_test=false \\
        --config.task.retrieval.queries=all --config.task.retrieval.train_limit=40 --config.training.num_epochs=3.0 \\
        --config.training.step_epochs="(2.0,)" --config.lockstep.num_samples=4 --config.comparison.test_seeds=2
"""

from jaxloss.config import default_config


def get_config():
    config = default_config("am_lfs")
    config.task.name = "retrieval"
    task = config.task.retrieval
    task.source = "market:Market-1501"
    task.train_fraction = 0.8
    task.queries = "one_per_camera"
    task.pixel_mean = (0.485, 0.456, 0.406)
    task.pixel_deviation = (0.229, 0.224, 0.225)

    # Wang et al., ACM Multimedia 2018, section 4.1.
    task.model = "mgn"
    task.image_size = (384, 128)
    task.identities_per_batch = 16
    task.images_per_identity = 4
    task.augmentation = "crop_flip"
    task.augmentation_options = {"padding": 10}
    task.flip_test = True
    task.triplet_weight = 1.0
    task.triplet_margin = 1.2
    config.training.optimiser = "sgd"
    config.training.learning_rate = 0.01
    config.training.momentum = 0.9
    config.training.weight_decay = 5e-4
    config.training.batch_size = 64
    config.training.num_epochs = 80.0
    config.training.schedule = "steps"
    config.training.step_epochs = (40.0, 60.0)

    config.space.am_lfs.branch = "identity"
    config.space.am_lfs.similarity = "cosine"
    # MGN classifies without norms being taken out; the scale is that of SphereReID (Fan et al., 2019).
    config.space.am_lfs.scale = 14.0

    # That of the original baseline (Section 4.1).
    config.lockstep.rate = "given"
    config.comparison.handcrafted = ("normalised_softmax",)
    config.comparison.learning_rate_low = 0.002
    config.comparison.learning_rate_high = 0.05
    config.comparison.tuning_trainings = 8
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 2
    config.comparison.num_divisions = 1
    config.comparison.test_seeds = 3
    return config
