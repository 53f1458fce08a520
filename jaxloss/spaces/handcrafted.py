"""Hand-crafted losses of classification, one family each, with hyper-parameters as traced numbers: tuning never recompiles.

They read `logits` `[N, H, W, C]` and one-hot `target` `[N, H, W, C]` of one branch, and return one value per sample
`[N, H, W, 1]`. Where a task offers labels beside its target, these are the target: hand-crafted losses are what people use, and
people train on labels.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.family import BranchInputs
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import LABEL, LABEL_MASK, Array, LossInputs
from jaxloss.spaces.hyperparameters import TuningRange

INPUTS = ("logits", "target")


@dataclasses.dataclass(frozen=True)
class HandcraftedFamily:
    """One family of hand-crafted losses. An encoded candidate is `{hyper-parameter: scalar}`.

    Attributes:
      name: as used in configs and tables.
      values: `(inputs, **hyper-parameters) -> [N, H, W, 1]`, with `axis_name` beside them where it looks across samples.
      tuning_ranges: hyper-parameter -> where it is tuned.
      source: where the loss comes from.
      inputs: names of the arrays that it reads.
      branch: whose arrays; empty where a task makes one branch alone.
      looks_across: whether what a sample's loss is depends on the others of the batch, those on other devices too.
      one_hot: whether it is defined for a one-hot target alone: of another, its `p_y` is the probability of no label.
      of_softmax: whether it takes predictions for a distribution over the classes: what is not pushed up goes down.
      title: as people write it; empty for the words of its name.
    """

    name: str
    values: Callable[..., Array]
    tuning_ranges: Mapping[str, TuningRange]
    source: str
    inputs: tuple[str, ...] = INPUTS
    branch: str = ""
    looks_across: bool = False
    of_softmax: bool = False
    one_hot: bool = False
    title: str = ""

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def defaults(self) -> dict[str, float]:
        """Hyper-parameter -> the value that people use."""
        return {name: span.default for name, span in self.tuning_ranges.items()}

    @property
    def reads(self) -> dict[str, tuple[str, ...]]:
        """Branch -> names of the arrays that are read there."""
        return {self.branch: self.inputs}

    @property
    def softmax_branches(self) -> tuple[str, ...]:
        """Branches whose predictions it takes for a distribution."""
        return (self.branch,) if self.of_softmax else ()

    def customary(self, formula: str | None = None) -> dict[str, float]:
        """See `core.family.LossFamily`; a hand-crafted loss has no formula."""
        del formula
        return self.defaults

    def tuned(self, formula: str | None, values: Mapping[str, float]) -> dict[str, Array]:
        """See `core.family.LossFamily`."""
        del formula
        return self.encode(values)

    def encode(self, hyperparameters: Mapping[str, float]) -> dict[str, Array]:
        """The hyper-parameters as arrays, which the compiled loss takes as arguments."""
        return {name: jnp.asarray(hyperparameters[name], jnp.float32) for name in sorted(self.tuning_ranges)}

    def loss(self, encoded: Mapping[str, Array], inputs: BranchInputs, axis_name: str | None = None) -> Array:
        """The scalar loss of one branch."""
        (branch_inputs,) = (inputs[self.branch],) if self.branch else inputs.values()
        branch_inputs = on_labels(branch_inputs)
        further = {"axis_name": axis_name} if self.looks_across else {}
        return mean_loss(self.values(branch_inputs, **encoded, **further), branch_inputs, axis_name)


def on_labels(inputs: LossInputs) -> LossInputs:
    """The inputs with the labels as their target, and the mask of the labels, where a task offers them (`core.types.LABEL`)."""
    if LABEL not in inputs.arrays:
        return inputs
    arrays = {**inputs.arrays, "target": inputs.arrays[LABEL]}
    return dataclasses.replace(inputs, arrays=arrays, mask=inputs.arrays[LABEL_MASK] > 0)


def sum_over_classes(values: Array) -> Array:
    """`[N, H, W, C]` to `[N, H, W, 1]`."""
    return jnp.sum(values, axis=-1, keepdims=True)


def log_probabilities(inputs: LossInputs) -> tuple[Array, Array]:
    """log softmax and target, both `[N, H, W, C]`, in float32 or better; void positions are harmless."""
    logits = jnp.where(inputs.mask, inputs.arrays["logits"], 0)
    return jax.nn.log_softmax(logits, axis=-1), inputs.arrays["target"]


def cross_entropy(inputs: LossInputs) -> Array:
    """`-log p_y`."""
    log_p, target = log_probabilities(inputs)
    return -sum_over_classes(target * log_p)


def label_smoothing(inputs: LossInputs, smoothing: Array) -> Array:
    """Cross-entropy with the target `(1 - smoothing) y + smoothing / C`."""
    log_p, target = log_probabilities(inputs)
    return -sum_over_classes(((1 - smoothing) * target + smoothing / target.shape[-1]) * log_p)


def focal(inputs: LossInputs, gamma: Array) -> Array:
    """`-(1 - p_y)^gamma log p_y`."""
    log_p, target = log_probabilities(inputs)
    log_p_y = sum_over_classes(target * log_p)
    # 1 - p_y is kept off 0, where the slope of a power below one is infinite.
    return -(jnp.clip(-jnp.expm1(log_p_y), 1e-6, 1.0) ** gamma) * log_p_y


def mean_absolute_error(inputs: LossInputs) -> Array:
    """`|p - y|_1 = 2 (1 - p_y)`."""
    log_p, target = log_probabilities(inputs)
    return 2 * (1 - jnp.exp(sum_over_classes(target * log_p)))


def generalised_cross_entropy(inputs: LossInputs, q: Array) -> Array:
    """`(1 - p_y^q) / q`."""
    log_p, target = log_probabilities(inputs)
    return -jnp.expm1(q * sum_over_classes(target * log_p)) / q


def symmetric_cross_entropy(inputs: LossInputs, alpha: Array, beta: Array) -> Array:
    """`alpha CE + beta RCE`; the reverse cross-entropy takes log 0 as -4, so that it is `4 (1 - p_y)`."""
    log_p, target = log_probabilities(inputs)
    log_p_y = sum_over_classes(target * log_p)
    return -alpha * log_p_y + beta * 4 * (1 - jnp.exp(log_p_y))


CLASSIFICATION_FAMILIES: Mapping[str, HandcraftedFamily] = {
    family.name: family
    for family in (
        HandcraftedFamily("cross_entropy", cross_entropy, {}, "maximum likelihood", title="cross-entropy", of_softmax=True),
        HandcraftedFamily(
            "label_smoothing",
            label_smoothing,
            {"smoothing": TuningRange(0.02, 0.8, 0.1)},
            "Szegedy et al., CVPR 2016",
            of_softmax=True,
        ),
        HandcraftedFamily(
            "focal", focal, {"gamma": TuningRange(0.25, 5.0, 2.0)}, "Lin et al., ICCV 2017", of_softmax=True, one_hot=True
        ),
        HandcraftedFamily("mae", mean_absolute_error, {}, "Ghosh et al., AAAI 2017", title="MAE", of_softmax=True, one_hot=True),
        HandcraftedFamily(
            "gce",
            generalised_cross_entropy,
            {"q": TuningRange(0.1, 1.0, 0.7, above=0.0)},
            "Zhang and Sabuncu, NeurIPS 2018",
            title="GCE",
            of_softmax=True,
            one_hot=True,
        ),
        HandcraftedFamily(
            "sce",
            symmetric_cross_entropy,
            {"alpha": TuningRange(0.01, 6.0, 0.1, logarithmic=True), "beta": TuningRange(0.1, 2.0, 1.0, logarithmic=True)},
            "Wang et al., ICCV 2019 (A = -4)",
            title="SCE",
            of_softmax=True,
            one_hot=True,
        ),
    )
}
