"""Image classification: any source of labelled images, any network with logits, label noise on request."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN, Task
from jaxloss.tasks.chunks import map_chunks
from jaxloss.tasks.data.load import load_source
from jaxloss.tasks.data.noise import noisy_labels
from jaxloss.tasks.data.preprocess import AUGMENTATIONS, standardise
from jaxloss.tasks.data.split import split_source, with_held_out_test
from jaxloss.tasks.metrics.classification import accuracy_from_counts, class_counts, correct, mean_class_accuracy_from_counts
from jaxloss.tasks.metrics.headroom import draw_with_headroom
from jaxloss.tasks.models.registry import make_model

BRANCH = "classification"
OFFERS = ("prediction", "target", "logits")
PRECISIONS = ("float32", "bfloat16")
RANGES = {"prediction": (0.0, 1.0), "target": (0.0, 1.0)}


def make_classification(
    source: str = "digits",
    *,
    data_dir: str | None = None,
    download: bool = False,
    fractions: Sequence[float] = (0.5, 0.2, 0.3),
    split_seed: int = 0,
    test_seed: int = 0,
    train_limit: int | None = None,
    search_eval_limit: int | None = None,
    test_limit: int | None = None,
    noise_kind: str = "none",
    noise_rate: float = 0.0,
    noise_seed: int = 0,
    noise_mapping: str | Sequence[int] = "next",
    model: str = "mlp",
    model_options: Mapping[str, Any] | None = None,
    precision: str = "float32",
    augmentation: str = "none",
    pixel_mean: float | Sequence[float] = 0.0,
    pixel_deviation: float | Sequence[float] = 1.0,
    evaluation_batch: int = 500,
    rejection_variable: str = "probability",
    rejection_minimum_gain: float = 0.6,
    rejection_margin: float = 0.1,
) -> Task:
    """A classification task from plain values.

    A batch, and every split of the data, is `{'image': [N, H, W, C], 'label': int32 [N]}`. `forward` offers `prediction`
    (softmax), `target` (one-hot) and `logits`, each `[N, 1, 1, C]`. `scores` gives `accuracy` and `mean_class_accuracy`.

    Args:
      source: see `data.load.load_source`.
      data_dir: folder of the data files or of the prepared data sets.
      download: whether a source may fetch what is absent.
      fractions: of train, search_eval and test, see `data.split.split_source`.
      split_seed: of the division into train and search_eval; `with_split` sets another.
      test_seed: of the examples that are held out for the test, where the source has no test set of its own. The same for all
        divisions: no search, on whichever division, ever sees an example of the test.
      train_limit: the most training examples, None for all. Likewise `search_eval_limit`, `test_limit`.
      noise_kind: `none`, `symmetric` or `asymmetric`, in the training labels only.
      noise_rate: fraction of the labels, see `data.noise`.
      noise_seed: of the noise; every split seed draws noise of its own.
      noise_mapping: of asymmetric noise.
      model: name of the network in `models.registry.MODELS`.
      model_options: attributes of the network.
      precision: what the network computes in, `float32` or `bfloat16` (for accelerators). Parameters, statistics of BatchNorm,
        the last layer, its softmax and the loss are float32 in either case.
      augmentation: name in `data.preprocess.AUGMENTATIONS`.
      pixel_mean: taken from every pixel, on the scale of 0 to 1; one number or one per channel (CIFAR-10: 0.47). Fixed numbers
        rather than statistics of a training split, since the compiled functions serve every division of the data.
      pixel_deviation: what pixels are divided by then (CIFAR-10: 0.25).
      evaluation_batch: the most images that go through the network at once in `scores`.
      rejection_variable: what the rejection protocol optimises: `probability` (the paper: the prediction itself, unconstrained;
        the problem then offers no `logits`) or `logits`.
      rejection_minimum_gain: the gain that the rejection protocol asks for; samples are drawn to leave room for it.
      rejection_margin: room beyond that.

    Raises:
      UserError: for an unknown name, for absent or broken data, for a value out of range.

    References:
      H. Li et al.: AutoLoss-Zero, CVPR 2022 (the rejection problem).
    """
    if augmentation not in AUGMENTATIONS:
        raise unknown("augmentation", augmentation, AUGMENTATIONS)
    if rejection_variable not in ("probability", "logits"):
        raise unknown("rejection variable", rejection_variable, ("probability", "logits"))
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if "dtype" in (model_options or {}):
        raise UserError("model_options has no dtype: what the network computes in is task.classification.precision")
    if np.min(pixel_deviation) <= 0:
        raise UserError(f"pixel_deviation must be above 0, not {pixel_deviation}: pixels are divided by it")
    if evaluation_batch < 1:
        raise UserError(f"evaluation_batch must be at least 1, not {evaluation_batch}")
    if noise_seed < 0:
        raise UserError(f"noise_seed must be at least 0, not {noise_seed}")
    images = with_held_out_test(load_source(source, data_dir, download), fractions, test_seed)
    network = make_model(model, images.num_classes, {**(model_options or {}), "dtype": precision})
    image_shape = images.train.images.shape[1:]
    prepare = functools.partial(standardise, mean=pixel_mean, deviation=pixel_deviation)
    # A native convolution inside a CPU loop is many times slower than outside.
    native = getattr(network, "convolution", None) == "native"

    def init(key: Array) -> PyTree:
        return network.init(key, prepare(jnp.zeros((1, *image_shape), jnp.float32)), train=False)

    def predict(variables: PyTree, batch: Array) -> Array:
        return network.apply(variables, prepare(batch), train=False)

    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))["params"]))
    noise = "none" if noise_kind == "none" else f"{noise_rate:.0%} {noise_kind}"

    def build(seed: int) -> Task:
        splits = split_source(images, fractions, seed, (train_limit, search_eval_limit, test_limit))
        labels = {name: split.labels for name, split in splits.items()}
        labels[TRAIN] = noisy_labels(labels[TRAIN], images.num_classes, noise_kind, noise_rate, (noise_seed, seed), noise_mapping)
        return Task(
            name=images.name if noise == "none" else f"{images.name} {noise} noise",
            metric="accuracy",
            offers={BRANCH: OFFERS},
            init=init,
            forward=forward,
            scores=scores,
            augment=AUGMENTATIONS[augmentation],
            rejection_problem=rejection_problem,
            data={
                name: {"image": jnp.asarray(split.images), "label": jnp.asarray(labels[name])} for name, split in splits.items()
            },
            with_split=build,
            native_convolution=native,
            ranges={BRANCH: RANGES},
            details={
                "num_train": len(splits[TRAIN]),
                "num_search_eval": len(splits[SEARCH_EVAL]),
                "num_test": len(splits[TEST]),
                "num_classes": images.num_classes,
                "class_names": list(images.class_names),
                "image_shape": list(image_shape),
                "split_seed": seed,
                "noise": noise,
                "wrong_train_labels": int((labels[TRAIN] != splits[TRAIN].labels).sum()),
                "augmentation": augmentation,
                "pixels": f"(x - {pixel_mean}) / {pixel_deviation}",
                "network": model,
                "precision": precision,
                "num_parameters": num_parameters,
            },
        )

    forward = _make_forward(network, prepare)
    scores = _make_scores(predict, evaluation_batch, unroll=native)
    rejection_problem = _make_rejection_problem(predict, rejection_variable, rejection_minimum_gain, rejection_margin)
    return build(split_seed)


def _spatial(array: Array) -> Array:
    """`[N, C]` as `[N, 1, 1, C]`."""
    return array[:, None, None, :]


def _make_forward(network: nn.Module, prepare: Callable[[Array], Array]) -> Callable[..., tuple[dict[str, LossInputs], PyTree]]:
    def forward(variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        statistics = [name for name in variables if name != "params"]
        logits, updated = network.apply(variables, prepare(batch["image"]), train=True, mutable=statistics, rngs={"dropout": key})
        arrays = {
            "prediction": jax.nn.softmax(logits),
            "target": jax.nn.one_hot(batch["label"], logits.shape[-1], dtype=logits.dtype),
            "logits": logits,
        }
        inputs = LossInputs.create({name: _spatial(array) for name, array in arrays.items()})
        return {BRANCH: inputs}, {**variables, **updated}

    return forward


def _make_scores(
    predict: Callable[[PyTree, Array], Array], evaluation_batch: int, unroll: bool
) -> Callable[[PyTree, PyTree], Mapping[str, Array]]:
    """Scores in chunks of equal size, so that memory is bounded by `evaluation_batch` images."""

    def scores(variables: PyTree, examples: Mapping[str, Array]) -> Mapping[str, Array]:
        logits = map_chunks(functools.partial(predict, variables), examples["image"], evaluation_batch, unroll)
        hits, totals = class_counts(logits, examples["label"])
        return {
            "accuracy": accuracy_from_counts(hits, totals),
            "mean_class_accuracy": mean_class_accuracy_from_counts(hits, totals),
        }

    return scores


def _make_rejection_problem(
    predict: Callable[[PyTree, Array], Array], variable: str, minimum_gain: float, margin: float
) -> Callable[[PyTree, PyTree, Array, int], dict[str, RejectionProblem]]:
    """The untrained network's predictions on a few training samples, drawn so that there is room for the gain."""
    logits = jax.jit(predict)

    def inputs(value: Array, context: Mapping[str, Array]) -> LossInputs:
        arrays = {"prediction": value, "target": context["target"]}
        if variable == "logits":
            arrays |= {"prediction": jax.nn.softmax(value, axis=-1), "logits": value}
        return LossInputs.create(arrays)

    def metric(value: Array, context: Mapping[str, Array]) -> Array:
        return correct(value[:, 0, 0], context["label"]).astype(jnp.float32)[0]

    def rejection_problem(
        variables: PyTree, examples: Mapping[str, Array], key: Array, num_samples: int
    ) -> dict[str, RejectionProblem]:
        total = len(examples["label"])
        if not 0 < num_samples <= total:
            raise UserError(f"filters.rejection.num_samples is {num_samples}, but there are {total} training images to draw from")

        def draw(draw_key: Array) -> RejectionProblem:
            rows = jax.random.choice(draw_key, total, (num_samples,), replace=False)
            start = logits(variables, examples["image"][rows])
            labels = examples["label"][rows]
            target = jax.nn.one_hot(labels, start.shape[-1], dtype=start.dtype)
            start = start if variable == "logits" else jax.nn.softmax(start)
            context = {"target": _spatial(target), "label": labels}
            return RejectionProblem(start=_spatial(start), context=context, inputs=inputs, metric=metric)

        return {BRANCH: draw_with_headroom(draw, key, minimum_gain, margin)}

    return rejection_problem
