"""Retrieval sets of TensorFlow Datasets: products, cars, birds. None of its sets has cameras."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identities.images import ImageSize
from jaxloss.tasks.data.identities.source import IdentitySource, identified_images, make_identity_source
from jaxloss.tasks.data.tfds import open_builder, open_splits


def load_tfds(rest: str, data_dir: str | None, download: bool, image_size: ImageSize, identity_key: str = "") -> IdentitySource:
    """Reads the splits `train` and `test` of a prepared data set, each class as an identity.

    Where the two show the same classes, as in sets that were made for classification, they are joined, and the first half of the
    classes is there to be trained on and the other half for the test: the custom for `cars196` (98 and 98 classes) and
    `caltech_birds2011` (100 and 100). `stanford_online_products` keeps its own division.

    Args:
      rest: name of the data set.
      data_dir: where data sets are prepared; None leaves it to the package.
      download: also download and prepare the set where it is not prepared yet.
      image_size: what the images are brought to.
      identity_key: the feature that tells the identity; empty for the set's own label. For `stanford_online_products` it is
        `class_id`.

    Raises:
      UserError: for an unknown set, one that is not prepared, or one that holds no images with such a feature.

    References:
      H. O. Song et al.: Deep Metric Learning via Lifted Structured Feature Embedding, CVPR 2016 (the division of the classes).
    """
    builder = open_builder(rest, data_dir, download)
    features = builder.info.features
    image_key, label_key = builder.info.supervised_keys or ("image", "")
    identity_key = identity_key or label_key
    if not {image_key, identity_key} <= set(features):
        raise UserError(
            f"tfds data set '{rest}' has no feature '{identity_key}' that tells the identity of an image; name one with the "
            f"source option identity_key: {', '.join(features)}"
        )
    train, test = open_splits(builder, rest)
    images, identities = _read(train, image_key, identity_key, image_size, f"{rest} (train)")
    is_test = np.zeros(len(identities), bool)
    if test is not None:
        test_images, test_identities = _read(test, image_key, identity_key, image_size, f"{rest} (test)")
        is_test = np.repeat([False, True], [len(identities), len(test_identities)])
        shared = np.isin(test_identities, identities).any()
        images, identities = np.concatenate([images, test_images]), np.concatenate([identities, test_identities])
        if shared:
            classes = np.unique(identities)
            is_test = identities >= classes[len(classes) // 2]
    everything = identified_images(images, identities, None, rest)
    return make_identity_source(
        builder.name, everything.take(~is_test), everything.take(is_test) if is_test.any() else None, f"tfds data set '{rest}'"
    )


def _read(
    examples: Sequence[Mapping[str, np.ndarray]], image_key: str, identity_key: str, image_size: ImageSize, origin: str
) -> tuple[np.ndarray, np.ndarray]:
    """Images `[M, H, W, C]` and identities `[M]` of one split; only one image at a time is there in its own size."""
    identities = np.zeros(len(examples), np.int64)

    def read(index: int) -> np.ndarray:
        example = examples[index]
        identities[index] = example[identity_key]
        return image_size.resize_array(example[image_key])

    return image_size.collect(read, len(examples), lambda index: f"{index} of {origin}"), identities
