"""Classification sets of TensorFlow Datasets, read with random access and without TensorFlow."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxloss.core.errors import UserError, did_you_mean
from jaxloss.tasks.data.source import LabelledImages, Source, labelled_images, make_source


def load_tfds(rest: str, data_dir: str | None = None, download: bool = False) -> Source:
    """Reads the `train` and, where there is one, the `test` split of a prepared data set into memory.

    Args:
      rest: name of the data set, for example `cifar10` or `mnist:3.*.*`.
      data_dir: where data sets are prepared; None leaves it to the package (TFDS_DATA_DIR, else the home folder).
      download: also download and prepare the set where it is not prepared yet. Reading needs no TensorFlow; preparing
        images does.

    Raises:
      UserError: for an unknown set, one that is not prepared, or one that holds no images with a class.
    """
    import tensorflow_datasets as tfds  # slow to import, and only this source needs it

    # With a folder given the package takes the format from what is prepared there; what is prepared now is made readable.
    chosen_format = {} if data_dir and not download else {"file_format": "array_record"}
    try:
        builder = tfds.builder(rest, data_dir=data_dir, **chosen_format)
    except tfds.core.DatasetNotFoundError as error:
        names = tfds.list_builders(with_community_datasets=False)
        raise UserError(f"unknown tfds data set '{rest}'.{did_you_mean(rest, names)}") from error
    if download:
        _prepare(builder, rest)
    image_key, label_key = builder.info.supervised_keys or ("image", "label")
    features = builder.info.features
    if image_key not in features or not isinstance(features[label_key], tfds.features.ClassLabel):
        raise UserError(f"tfds data set '{rest}' does not hold images with one class each (features: {', '.join(features)})")

    try:
        train = builder.as_data_source("train")
    except (NotImplementedError, KeyError, ValueError, OSError, AssertionError) as error:
        raise UserError(
            f"tfds data set '{rest}' is not prepared in {builder.data_dir}: prepare it with --config.download=true, or "
            f"tfds build {rest} --file_format=array_record (preparing images needs TensorFlow: pip install jaxloss[tfds])"
        ) from error

    def read(examples: Sequence[Mapping[str, np.ndarray]]) -> LabelledImages:
        rows = [examples[index] for index in range(len(examples))]
        if len({row[image_key].shape for row in rows}) > 1:
            raise UserError(f"tfds data set '{rest}' has images of different sizes; a classification task needs one size")
        return labelled_images(np.stack([row[image_key] for row in rows]), np.asarray([row[label_key] for row in rows]), rest)

    splits = builder.info.splits
    test = read(builder.as_data_source("test")) if "test" in splits or not splits else None  # a mocked set lists no splits
    return make_source(builder.name, read(train), test, tuple(features[label_key].names))


def _prepare(builder, name: str) -> None:
    try:
        builder.download_and_prepare()
    except (ImportError, OSError) as error:
        raise UserError(
            f"tfds data set '{name}' cannot be prepared ({str(error).splitlines()[0]}). "
            "Preparing images needs TensorFlow: pip install jaxloss[tfds]"
        ) from error
