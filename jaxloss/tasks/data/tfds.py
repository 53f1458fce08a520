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

    builder = open_builder(rest, data_dir, download)
    image_key, label_key = builder.info.supervised_keys or ("image", "label")
    features = builder.info.features
    if not {image_key, label_key} <= set(features) or not isinstance(features[label_key], tfds.features.ClassLabel):
        raise UserError(f"tfds data set '{rest}' does not hold images with one class each (features: {', '.join(features)})")

    def read(examples: Sequence[Mapping[str, np.ndarray]]) -> LabelledImages:
        rows = [examples[index] for index in range(len(examples))]
        if len({row[image_key].shape for row in rows}) > 1:
            raise UserError(f"tfds data set '{rest}' has images of different sizes; a classification task needs one size")
        return labelled_images(np.stack([row[image_key] for row in rows]), np.asarray([row[label_key] for row in rows]), rest)

    train, test = open_splits(builder, rest)
    return make_source(builder.name, read(train), None if test is None else read(test), tuple(features[label_key].names))


def open_builder(name: str, data_dir: str | None, download: bool):
    """What describes a data set, prepared where `download` says so.

    Raises:
      UserError: for an unknown set, and for one that cannot be prepared.
    """
    import tensorflow_datasets as tfds

    # With a folder given the package takes the format from what is prepared there; what is prepared now is made readable.
    chosen_format = {} if data_dir and not download else {"file_format": "array_record"}
    try:
        builder = tfds.builder(name, data_dir=data_dir, **chosen_format)
    except tfds.core.DatasetNotFoundError as error:
        names = tfds.list_builders(with_community_datasets=False)
        raise UserError(f"unknown tfds data set '{name}'.{did_you_mean(name, names)}") from error
    except ImportError as error:
        # The code of some sets, such as coco, needs TensorFlow; what is prepared of them describes itself.
        builder = _from_files(name, data_dir, error)
    if download:
        _prepare(builder, name)
    return builder


def _from_files(name: str, data_dir: str | None, error: ImportError):
    import tensorflow_datasets as tfds

    try:
        return tfds.core.read_only_builder.builder_from_files(name.partition("/")[0], **_named(name), data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, OSError, ValueError, AssertionError):
        raise UserError(
            f"tfds data set '{name}' is not prepared in {data_dir or 'the folder of TFDS'} ({str(error).splitlines()[-1]}): "
            f"tfds build {name} --file_format=array_record, which needs TensorFlow: pip install jaxloss[tfds]"
        ) from error


def _named(name: str) -> dict[str, str]:
    """`{'config': ..., 'version': ...}` as far as `set/config:version` says them."""
    rest, _, version = name.partition(":")
    config = rest.partition("/")[2]
    return {key: value for key, value in (("config", config), ("version", version)) if value}


def open_splits(builder, name: str) -> tuple[Sequence[Mapping[str, np.ndarray]], Sequence[Mapping[str, np.ndarray]] | None]:
    """The examples of `train` and, where there is one, of `test`; each is read when it is asked for.

    Raises:
      UserError: for a set that is not prepared.
    """
    try:
        train = builder.as_data_source("train")
    except (NotImplementedError, KeyError, ValueError, OSError, AssertionError) as error:
        raise UserError(
            f"tfds data set '{name}' is not prepared in {builder.data_dir}: prepare it with the key download "
            "of its task, such as --config.task.classification.download=true, or "
            f"tfds build {name} --file_format=array_record (preparing images needs TensorFlow: pip install jaxloss[tfds])"
        ) from error
    splits = builder.info.splits
    return train, builder.as_data_source("test") if "test" in splits or not splits else None  # a mocked set lists no splits


def _prepare(builder, name: str) -> None:
    try:
        builder.download_and_prepare()
    except (ImportError, OSError) as error:
        raise UserError(
            f"tfds data set '{name}' cannot be prepared ({str(error).splitlines()[0]}). "
            "Preparing images needs TensorFlow: pip install jaxloss[tfds]"
        ) from error
