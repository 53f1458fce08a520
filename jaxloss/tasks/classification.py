"""Image classification: any source of labelled images, any network with logits, label noise on request."""

import functools
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.problem import LOGITS, PREDICTIONS, RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN, Task, num_examples
from jaxloss.tasks.chunks import map_chunks
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.data.load import load_source
from jaxloss.tasks.data.noise import noisy_labels
from jaxloss.tasks.data.preprocess import AUGMENTATIONS, standardise
from jaxloss.tasks.data.split import split_source, with_held_out_test
from jaxloss.tasks.data.stream import STREAMED, place_split, take_rows
from jaxloss.tasks.metrics.classification import ACCURACY, METRICS, correct
from jaxloss.tasks.metrics.headroom import draw_with_headroom
from jaxloss.tasks.models.registry import make_model

BRANCH = "classification"
OFFERS = ("prediction", "target", "logits")
RANGES = {"prediction": (0.0, 1.0), "target": (0.0, 1.0)}
# Room beyond the gain that the rejection protocol asks for.
REJECTION_MARGIN = 0.1


def make_classification(settings: ClassificationSettings, context: TaskContext = NO_RUN) -> Task:
    """A classification task.

    A batch, and every split of the data, is `{'image': [N, H, W, C], 'label': int32 [N]}`. `forward` offers `prediction`
    (softmax), `target` (one-hot) and `logits`, each `[N, 1, 1, C]`; the rejection problem offers no `logits` where the prediction
    itself is optimised; its metric is whether a sample is correct, whatever the search maximises. `scores` gives all of
    `metrics.classification.METRICS`.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie, and what the rejection protocol asks for.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them.

    References:
      Li et al., CVPR 2022, Eq. 3 (the rejection problem).
    """
    if "dtype" in settings.model_options:
        raise UserError("model_options has no dtype: what the network computes in is task.classification.precision")
    # A run has filled in what follows from its seed; who makes a task by themselves has that of seed 0.
    settings = settings.drawn(0)
    fractions, noise_kind, streamed = settings.fractions, settings.noise_kind, settings.training_data == STREAMED
    limits = tuple(limit or None for limit in (settings.train_limit, settings.search_eval_limit, settings.test_limit))
    images = with_held_out_test(load_source(settings.source, context.data_dir, settings.download), fractions, settings.test_seed)
    network = make_model(settings.model, images.num_classes, {**settings.model_options, "dtype": settings.precision})
    image_shape = images.train.images.shape[1:]
    prepare = functools.partial(standardise, mean=settings.pixel_mean, deviation=settings.pixel_deviation)
    # A native convolution inside a CPU loop is many times slower than outside.
    native = getattr(network, "convolution", None) == "native"

    def init(key: Array) -> PyTree:
        return network.init(key, prepare(jnp.zeros((1, *image_shape), jnp.float32)), train=False)

    def predict(variables: PyTree, batch: Array) -> Array:
        return network.apply(variables, prepare(batch), train=False)

    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))["params"]))
    noise = "none" if noise_kind == "none" else f"{settings.noise_rate:.0%} {noise_kind}"

    def build(seed: int) -> Task:
        splits = split_source(images, fractions, seed, limits)
        labels = {name: split.labels for name, split in splits.items()}
        labels[TRAIN] = noisy_labels(
            labels[TRAIN],
            images.num_classes,
            noise_kind,
            settings.noise_rate,
            (settings.noise_seed, seed),
            settings.noise_mapping,
        )
        return Task(
            name=images.name if noise == "none" else f"{images.name} {noise} noise",
            metric=settings.metric,
            also_shown=() if settings.metric == ACCURACY else (ACCURACY,),
            offers={BRANCH: OFFERS},
            init=init,
            forward=forward,
            scores=scores,
            augment=AUGMENTATIONS[settings.augmentation],
            problems={PREDICTIONS: rejection_problem},
            data={
                name: place_split({"image": split.images, "label": labels[name]}, streamed=streamed and name == TRAIN)
                for name, split in splits.items()
            },
            with_division=build,
            native_convolution=native,
            ranges={BRANCH: RANGES},
            details={
                "num_train": len(splits[TRAIN]),
                "num_search_eval": len(splits[SEARCH_EVAL]),
                "num_test": len(splits[TEST]),
                "num_classes": images.num_classes,
                "class_names": list(images.class_names),
                "image_shape": list(image_shape),
                "division": seed,
                "noise": noise,
                "wrong_train_labels": int((labels[TRAIN] != splits[TRAIN].labels).sum()),
                "augmentation": settings.augmentation,
                "pixels": f"(x - {settings.pixel_mean}) / {settings.pixel_deviation}",
                "network": settings.model,
                "precision": settings.precision,
                "num_parameters": num_parameters,
            },
        )

    forward = _make_forward(network, prepare)
    scores = _make_scores(predict, settings.evaluation_batch, unroll=native)
    rejection_problem = _make_rejection_problem(predict, context.rejection_variable, context.rejection_minimum_gain)
    return build(settings.division)


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
        return {name: metric(logits, examples["label"]) for name, metric in METRICS.items()}

    return scores


def _make_rejection_problem(
    predict: Callable[[PyTree, Array], Array], variable: str, minimum_gain: float
) -> Callable[[PyTree, PyTree, Array, int], dict[str, RejectionProblem]]:
    """The untrained network's predictions on a few training samples, drawn so that there is room for the gain."""
    logits = jax.jit(predict)

    def inputs(value: Array, context: Mapping[str, Array]) -> LossInputs:
        arrays = {"prediction": value, "target": context["target"]}
        if variable == LOGITS:
            arrays |= {"prediction": jax.nn.softmax(value, axis=-1), "logits": value}
        return LossInputs.create(arrays)

    def metric(value: Array, context: Mapping[str, Array]) -> Array:
        return correct(value[:, 0, 0], context["label"]).astype(jnp.float32)[0]

    def rejection_problem(
        variables: PyTree, examples: Mapping[str, Array], key: Array, num_samples: int
    ) -> dict[str, RejectionProblem]:
        total = num_examples(examples)
        if not 0 < num_samples <= total:
            raise UserError(f"filters.rejection.num_samples is {num_samples}, but there are {total} training images to draw from")

        def draw(draw_key: Array) -> RejectionProblem:
            rows = jax.random.choice(draw_key, total, (num_samples,), replace=False)
            chosen = take_rows(examples, rows)
            start = logits(variables, chosen["image"])
            labels = chosen["label"]
            target = jax.nn.one_hot(labels, start.shape[-1], dtype=start.dtype)
            start = start if variable == LOGITS else jax.nn.softmax(start)
            context = {"target": _spatial(target), "label": labels}
            return RejectionProblem(start=_spatial(start), context=context, inputs=inputs, metric=metric)

        return {BRANCH: draw_with_headroom(draw, key, minimum_gain, REJECTION_MARGIN)}

    return rejection_problem
