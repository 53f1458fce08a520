"""What a classification task is made of, as far as the user says it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.conditions import unless, when
from jaxloss.core.draws import FOLLOWS, moved
from jaxloss.core.settings import Settings, are_different, are_finite, are_positive, is_known_or, options, setting
from jaxloss.tasks.data.load import SOURCES
from jaxloss.tasks.data.noise import NOISES
from jaxloss.tasks.data.preprocess import AUGMENTATIONS
from jaxloss.tasks.data.stream import DEVICE, TRAINING_DATA
from jaxloss.tasks.division_settings import DIVISIONS
from jaxloss.tasks.metrics.registry import ACCURACY, METRICS, check_metric
from jaxloss.tasks.models.registry import MODELS, PRECISIONS

READS = ("data_dir", "filters.rejection.variable", "filters.rejection.minimum_gain")
NOISY = (unless("task.classification.noise_kind", "none"),)
IMBALANCED = (unless("task.classification.imbalance_ratio", 1.0),)


def _are_metrics(key: str, names: Sequence[str]) -> None:
    are_different("metrics")(key, names)
    check_metric(key, names)


def _drawn_seed(settings: "ClassificationSettings", seed: int) -> int:
    del settings
    return moved(0, seed)


@dataclasses.dataclass(frozen=True)
class ClassificationSettings(Settings, section="task.classification", reads=READS):
    """Image classification: any source of labelled images, any network with logits, label noise on request."""

    source: str = setting("digits", f"Where images and labels come from: one of {', '.join(SOURCES)}")
    download: bool = setting(False, "Whether a source may fetch what is absent")
    fractions: tuple[float, float, float] = setting((0.5, 0.2, 0.3), "Of train, search_eval and test")
    test_seed: int = setting(
        0,
        "Of the examples that are held out for the test, where the source has no test set of its own; no other seed moves it",
        low=0,
        high=2**30,
    )
    division: int = setting(
        0,
        "Number of the division into train and search_eval",
        low=0,
        high=2**30,
        acts_when=DIVISIONS,
        formerly=("task.classification.split_seed",),
    )
    train_limit: int = setting(0, "The most training examples; 0: all", low=0, high=10**9)
    search_eval_limit: int = setting(0, "The most examples that a search is scored on; 0: all", low=0, high=10**9)
    test_limit: int = setting(0, "The most test examples; 0: all", low=0, high=10**9)
    imbalance_ratio: float = setting(
        1.0,
        "Of the most to the least frequent class of the training set, class 0 to the last; 1: as it is. Images are left out "
        "before labels become noisy, and of what train_limit leaves",
        low=1.0,
        high=10.0**6,
    )
    imbalance_seed: int = setting(
        FOLLOWS,
        f"Of the choice of the images, whatever seed says; {FOLLOWS}: it follows from seed, 0 for seed 0; every division of the "
        "data makes a choice of its own",
        low=FOLLOWS,
        high=2**30,
        acts_when=IMBALANCED,
        drawn=_drawn_seed,
    )
    noise_kind: str = setting("none", "Of wrong labels, in the training set only", choices=("none", *NOISES))
    noise_rate: float = setting(0.0, "Fraction of the labels", low=0.0, high=1.0, acts_when=NOISY)
    noise_seed: int = setting(
        FOLLOWS,
        f"Of the noise, whatever seed says; {FOLLOWS}: it follows from seed, 0 for seed 0; every division draws noise of its own",
        low=FOLLOWS,
        high=2**30,
        acts_when=NOISY,
        drawn=_drawn_seed,
    )
    noise_mapping: str | Sequence[int] = setting(
        "next",
        "Where asymmetric noise moves each class: next, the name of a mapping, or one class for each class",
        several=True,
        acts_when=(when("task.classification.noise_kind", "asymmetric"),),
    )
    model: str = setting(
        "mlp",
        f"The network: one of {', '.join(MODELS)}, or module:factory, of a Linen or NNX module",
        check=is_known_or(MODELS, "module:factory"),
    )
    model_options: Mapping[str, Any] = options("Attributes of the network, or arguments of its factory")
    # Parameters, statistics of BatchNorm, the last layer, its softmax and the loss are float32 in either case.
    precision: str = setting("float32", "What the network computes in", choices=PRECISIONS)
    augmentation: str = setting("none", "Of the training images", choices=AUGMENTATIONS)
    # Fixed numbers rather than statistics of a training split: the compiled functions serve every division of the data.
    pixel_mean: float | Sequence[float] = setting(
        0.0, "Taken from every pixel, on the scale of 0 to 1; one number or one per channel", several=True, check=are_finite
    )
    pixel_deviation: float | Sequence[float] = setting(
        1.0, "What pixels are divided by then; one number or one per channel", several=True, check=are_positive
    )
    metric: str = setting(
        ACCURACY,
        f"What the search maximises: one of {', '.join(METRICS)} (customary names, such as balanced_accuracy, roc_auc and ece, "
        "stand for them; calibration is one minus the error), or module:function; accuracy is shown beside another one",
        check=check_metric,
    )
    also_shown: tuple[str, ...] = setting((), "Metrics that are computed and shown beside it, named likewise", check=_are_metrics)
    evaluation_batch: int = setting(
        500, "The most images that go through the network at once when it is scored", low=1, high=10**9
    )
    training_data: str = setting(
        DEVICE, "On the device, or streamed where they do not fit: read ahead of the steps", choices=TRAINING_DATA
    )
