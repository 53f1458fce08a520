"""AM-LFS on a small open-set retrieval task: characters of unseen alphabets, drawers as cameras.

On `omniglot_7alphabets.npz` (keys `images28`, `labels`, `drawer`, `split`), found in the folder `data_dir`:

    python -m jaxloss.launch --config=configs/am_lfs_omniglot.py --config.data_dir=DIR --workdir=runs/am_lfs_omniglot

The curves act on the cosines to the classes, in the place of the softmax branch, as with SphereReID; B = 8, one of those of
Table 6. For the scores of faces beside mAP: `--config.task.retrieval.verification=true`.
"""

from jaxloss.config import default_config


def get_config():
    config = default_config("am_lfs")
    config.task.name = "retrieval"
    task = config.task.retrieval
    task.source = "npz:omniglot_7alphabets.npz"
    task.source_options = {"image_key": "images28", "identity_key": "labels", "camera_key": "drawer", "split_key": "split"}
    task.image_size = (0, 0)
    task.model = "embedding_cnn"
    # Characters must not be mirrored.
    task.augmentation = "crop"
    task.augmentation_options = {"padding": 2}
    task.pixel_mean = 0.1
    task.pixel_deviation = 0.3
    task.flip_test = False

    config.space.am_lfs.branch = "identity"
    config.space.am_lfs.similarity = "cosine"
    # Full trainings tune the scale of normalised softmax to 3 to 6 on this task.
    config.space.am_lfs.scale = 4.0

    config.training.optimiser = "sgd"
    config.training.learning_rate = 0.2
    config.training.weight_decay = 5e-4
    config.training.batch_size = 64
    config.training.num_epochs = 10.0

    config.lockstep.num_samples = 8
    config.comparison.handcrafted = ("normalised_softmax", "arcface")
    config.comparison.learning_rate_low = 0.03
    config.comparison.learning_rate_high = 1.0
    config.comparison.tuning_trainings = 8
    config.comparison.tuning_finalists = 2
    config.comparison.tuning_seeds = 2
    config.comparison.num_divisions = 1
    config.comparison.test_seeds = 2
    # XLA spreads a convolution over the cores: a second training at once only gets in its way.
    config.execution.workers = 1
    return config
