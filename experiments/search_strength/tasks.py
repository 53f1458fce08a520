"""The tasks on which searches are measured: small, with room above the best hand-crafted loss."""

import dataclasses
from collections.abc import Mapping

_DIGITS = "experiments/search_strength/digits.py"
_LONG_TAILED = (
    "cross_entropy",
    "weighted_cross_entropy",
    "class_balanced",
    "balanced_softmax",
    "logit_adjustment",
    "ldam",
    "focal",
    "soft_f1",
)
# On predictions, the protocol stops balanced softmax and its like.
_READS_PRIOR = {"space.autoloss_zero.inputs": "('prediction', 'target', 'prior')", "filters.rejection.variable": "logits"}
_NOISY = ("cross_entropy", "label_smoothing", "focal", "mae", "gce", "sce", "nce_rce", "jensen_shannon", "soft_f1")
# Both at once: what is made for the one knows nothing of the other.
_LONG_TAIL_NOISY = {
    "task.classification.imbalance_ratio": "10",
    "task.classification.metric": "mean_class_accuracy",
    "task.classification.noise_kind": "symmetric",
    "task.classification.noise_rate": "0.4",
    "task.classification.noise_seed": "0",
}
# The labels of a class go to the next one, which is rarer.
_LONG_TAIL_ASYMMETRIC = {
    **_LONG_TAIL_NOISY,
    "task.classification.noise_kind": "asymmetric",
    "task.classification.noise_rate": "0.3",
    "comparison.num_divisions": "10",
}
_OF_BOTH = (*_LONG_TAILED, *(name for name in _NOISY if name not in _LONG_TAILED), "cores")


@dataclasses.dataclass(frozen=True)
class StrengthTask:
    """A task of the benchmark.

    Attributes:
      config: file of the config.
      overrides: dotted key -> text, for searches and rivals.
      searches: the same, for searches alone.
      rivals: hand-crafted losses, tuned alike and, the best of them, with as many trainings as a search.
      calibration_loss: with which a search finds its rate, where it does; empty: it keeps that of the config.
      needs_data: whether files are read from `--data_dir`.
    """

    config: str
    overrides: Mapping[str, str]
    searches: Mapping[str, str] = dataclasses.field(default_factory=dict)
    rivals: tuple[str, ...] = _NOISY
    calibration_loss: str = "cross_entropy"
    needs_data: bool = False


def _digits(kind: str, rate: float) -> StrengthTask:
    noise = {"task.classification.noise_kind": kind, "task.classification.noise_rate": str(rate)}
    noise["task.classification.noise_seed"] = "0"
    return StrengthTask(_DIGITS, noise)


def _cifar(source: str, **others: str) -> StrengthTask:
    # So long that the wrong labels are learnt, too.
    overrides = {
        "task.classification.source": source,
        "task.classification.noise_kind": "symmetric",
        "task.classification.noise_rate": "0.6",
        "task.classification.noise_seed": "0",
        "training.num_epochs": "20.0",
        "comparison.num_divisions": "3",
        "comparison.tuning_trainings": "16",
        **others,
    }
    return StrengthTask(
        "configs/autoloss_zero_cifar10.py",
        overrides,
        {"search.num_trainings": "360"},
        # Cross-entropy, and GCE with a small q, learn the wrong labels unless their rate is a third of that which suits others.
        calibration_loss="",
        needs_data=True,
    )


# Half the steps of the config: a training is half as long.
_BOXES = StrengthTask(
    "configs/cse_autoloss_bccd.py",
    {
        "training.num_epochs": "4.0",
        "comparison.num_divisions": "2",
        "comparison.rank_candidates": "3",
        "comparison.rank_seeds": "2",
        "comparison.num_found": "1",
        "comparison.tuning_trainings": "4",
        "comparison.tuning_finalists": "2",
        "comparison.tuning_seeds": "1",
        "comparison.test_seeds": "2",
    },
    {"search.num_trainings": "20"},
    rivals=("giou", "iou", "ciou", "bounded_iou", "box_l1"),
    calibration_loss="",
    needs_data=True,
)


_TASKS: Mapping[str, StrengthTask] = {
    "digits_40": _digits("symmetric", 0.4),
    "digits_60": _digits("symmetric", 0.6),
    "digits_70": _digits("symmetric", 0.7),
    "digits_asymmetric_40": _digits("asymmetric", 0.4),
    "digits_long_tail": StrengthTask(
        _DIGITS,
        {
            "task.classification.imbalance_ratio": "50",
            "task.classification.metric": "mean_class_accuracy",
        },
        _READS_PRIOR,
        rivals=_LONG_TAILED,
    ),
    # Which images of the rarest class a division has moves the score more than the loss does.
    "digits_long_tail_noisy": StrengthTask(
        _DIGITS, {**_LONG_TAIL_NOISY, "comparison.num_divisions": "10"}, _READS_PRIOR, rivals=_OF_BOTH
    ),
    "digits_long_tail_asymmetric": StrengthTask(_DIGITS, _LONG_TAIL_ASYMMETRIC, _READS_PRIOR, rivals=_OF_BOTH),
    "bccd_boxes": _BOXES,
    # Not looked at while the searches were built; see `fashion.py`.
    "fashion_60": StrengthTask(
        _DIGITS,
        {
            "task.classification.source": "npz:fashion_mnist_14x14.npz",
            "task.classification.fractions": "(0.6, 0.4, 0.0)",
            "task.classification.noise_kind": "symmetric",
            "task.classification.noise_rate": "0.6",
        },
        needs_data=True,
    ),
    "omniglot": StrengthTask(
        "configs/autoloss_gms_omniglot.py",
        {
            "task.retrieval.image_size": "(14, 14)",
            "training.num_epochs": "3.0",
            "comparison.num_divisions": "3",
            "comparison.tuning_trainings": "16",
        },
        {"search.chooser.enabled": "false", "search.num_trainings": "240"},
        rivals=("normalised_softmax", "cosface", "arcface"),
        calibration_loss="normalised_softmax",
        needs_data=True,
    ),
    "cifar10_60": _cifar("npz:cifar10_subset.npz", **{"task.classification.train_limit": "4000"}),
    # The same at half the size, see `cifar.py`: a training takes a quarter of the time.
    "cifar10_60_16x16": _cifar("npz:cifar10_16x16.npz", **{"task.classification.fractions": "(0.3333, 0.3333, 0.3334)"}),
    # 2,400 images in the training.
    "cifar10_long_tail_noisy": dataclasses.replace(
        _cifar(
            "npz:cifar10_16x16.npz",
            **{
                **_LONG_TAIL_NOISY,
                "task.classification.fractions": "(0.5, 0.25, 0.25)",
                "training.num_epochs": "30.0",
            },
        ),
        searches={"search.num_trainings": "240", **_READS_PRIOR},
        rivals=_OF_BOTH,
    ),
}

# The same on many divisions of the data, of which a search has seen three: for what searches found, see `transfer.py`.
_MANY_DIVISIONS = {"comparison.num_divisions": "20", "comparison.test_seeds": "3"}
_RETESTED = ("digits_70", "digits_asymmetric_40", "digits_long_tail", "digits_long_tail_noisy", "digits_long_tail_asymmetric")

TASKS: Mapping[str, StrengthTask] = {
    **_TASKS,
    **{
        f"{name}_twenty_divisions": dataclasses.replace(_TASKS[name], overrides={**_TASKS[name].overrides, **_MANY_DIVISIONS})
        for name in _RETESTED
    },
    # With the rivals that came nearest.
    "cifar10_long_tail_noisy_eight_divisions": dataclasses.replace(
        _TASKS["cifar10_long_tail_noisy"],
        overrides={
            **_TASKS["cifar10_long_tail_noisy"].overrides,
            "comparison.num_divisions": "8",
            "comparison.test_seeds": "2",
        },
        rivals=("soft_f1", "nce_rce", "gce"),
    ),
}
