"""Image classification: any source of labelled images, any network with logits, imbalance and label noise on request."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core import meanings
from jaxloss.core.errors import UserError
from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.problem import LOGITS, PREDICTIONS, RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN, Task, num_examples
from jaxloss.tasks.chunks import map_chunks
from jaxloss.tasks.class_logits import class_logits
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.data.imbalance import class_frequencies, long_tail_counts, long_tailed_rows
from jaxloss.tasks.data.load import load_source
from jaxloss.tasks.data.noise import noisy_labels
from jaxloss.tasks.data.preprocess import AUGMENTATIONS, standardise
from jaxloss.tasks.data.source import LabelledImages, Source
from jaxloss.tasks.data.split import split_source, sure_counts, with_held_out_test
from jaxloss.tasks.data.stream import STREAMED, place_split, take_rows
from jaxloss.tasks.metrics.classification import correct
from jaxloss.tasks.metrics.headroom import draw_with_headroom
from jaxloss.tasks.metrics.registry import ACCURACY, ALWAYS, TELLING, UNTELLING, Metric, find_metrics, score_name
from jaxloss.tasks.models.by_name import network_by_name
from jaxloss.tasks.models.network import Network
from jaxloss.tasks.scored import Scored

BRANCH = "classification"
OFFERS = ("prediction", "target", "logits", "prior")
RANGES = {"prediction": (0.0, 1.0), "target": (0.0, 1.0), "prior": (0.0, 1.0)}
CUSTOMARY_LOSSES = ("cross_entropy", "focal", "mae", "gce", "sce", "soft_f1", "weighted_cross_entropy", "balanced_softmax")
MEANINGS = {
    "prediction": meanings.SOFTMAX,
    "target": meanings.ONE_HOT,
    "logits": meanings.LOGITS,
    "prior": "how often each class occurs among the training labels, shares that sum to one, the same for every sample",
}
# Room beyond the gain that the rejection protocol asks for.
REJECTION_MARGIN = 0.1


def make_classification(settings: ClassificationSettings, context: TaskContext = NO_RUN) -> Task:
    """A classification task.

    A batch, and every split of the data, is `{'image': [N, H, W, C], 'label': int32 [N]}`; the training split also has `prior`,
    float32 `[N, C]`, how often each class occurs among its labels, the same in every row. The training split is made in this
    order: `train_limit` cuts it, imbalance leaves images out by their true classes, noise changes labels of those that are left,
    and the prior counts what came out. The other splits stay as they are.

    `forward` offers `prediction` (softmax), `target` (one-hot), `logits` and `prior`, each `[N, 1, 1, C]`; the rejection problem
    offers no `logits` where the prediction itself is optimised; its metric is whether a sample is correct, whatever the search
    maximises. `scores` gives the metric, what is shown beside it, and `metrics.registry.ALWAYS`.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie, and what the rejection protocol asks for.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them.

    References:
      Li et al., CVPR 2022, Eq. 3 (the rejection problem).
    """
    images = load_source(settings.source, context.data_dir, settings.download)
    shape = images.train.images.shape[1:]
    network = network_by_name(settings.model, images.num_classes, settings.model_options, settings.precision, shape)
    metric = score_name(settings.metric)
    also_shown = tuple(dict.fromkeys(score_name(name) for name in (ACCURACY, *settings.also_shown)))
    metrics = find_metrics((*ALWAYS, settings.metric, *settings.also_shown), images.num_classes)
    scored = Scored(metric, tuple(name for name in also_shown if name != metric), metrics)
    return classification_of(images, network, scored, settings, context)


def classification_of(
    images: Source, network: Network, scored: Scored, settings: ClassificationSettings, context: TaskContext = NO_RUN
) -> Task:
    """The same from parts that are made already.

    Args:
      images: with labels; divided here.
      network: gives logits.
      scored: what by; metrics of the host take probabilities in place of logits.
      settings: all of them but where data, network and metrics come from; `model` is the name of the network.
      context: see `make_classification`.

    Raises:
      UserError: for settings that do not suit the data.
    """
    # A run has filled in what follows from its seed; who makes a task by themselves has that of seed 0.
    settings = settings.drawn(0)
    fractions, streamed = settings.fractions, settings.training_data == STREAMED
    limits = tuple(limit or None for limit in (settings.train_limit, settings.search_eval_limit, settings.test_limit))
    images = with_held_out_test(images, fractions, settings.test_seed)
    num_classes, image_shape = images.num_classes, images.train.images.shape[1:]
    prepare = functools.partial(standardise, mean=settings.pixel_mean, deviation=settings.pixel_deviation)

    def init(key: Array) -> PyTree:
        return network.init(key, prepare(jnp.zeros((1, *image_shape), jnp.float32)))

    def predict(variables: PyTree, batch: Array) -> Array:
        return network.predict(variables, prepare(batch))

    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))["params"]))
    noise = "none" if settings.noise_kind == "none" else f"{settings.noise_rate:.0%} {settings.noise_kind}"
    tail = "none" if settings.imbalance_ratio == 1 else f"{settings.imbalance_ratio:g}:1 long"
    name = images.name + ("" if tail == "none" else f" {tail} tail") + ("" if noise == "none" else f" {noise} noise")

    def build(seed: int) -> Task:
        splits = dict(split_source(images, fractions, seed, limits))
        splits[TRAIN] = _long_tailed(splits[TRAIN], images.train.labels, num_classes, settings, seed)
        labels = noisy_labels(
            splits[TRAIN].labels,
            num_classes,
            settings.noise_kind,
            settings.noise_rate,
            (settings.noise_seed, seed),
            settings.noise_mapping,
        )
        frequencies = class_frequencies(labels, num_classes)
        # A view, which takes no memory where it is streamed.
        prior = np.broadcast_to(frequencies, (len(labels), num_classes))
        arrays = {name: {"image": split.images, "label": split.labels} for name, split in splits.items()}
        arrays[TRAIN] |= {"label": labels, "prior": prior}
        return Task(
            name=name,
            metric=scored.metric,
            telling=TELLING if scored.metric in UNTELLING else None,
            also_shown=scored.also_shown,
            offers={BRANCH: OFFERS},
            init=init,
            forward=forward,
            scores=scores,
            host_metrics=host_metrics,
            augment=AUGMENTATIONS[settings.augmentation],
            problems={PREDICTIONS: rejection_problem},
            data={name: place_split(part, streamed=streamed and name == TRAIN) for name, part in arrays.items()},
            with_division=build,
            native_convolution=network.native_convolution,
            ranges={BRANCH: RANGES},
            meanings={BRANCH: MEANINGS},
            customary_losses=CUSTOMARY_LOSSES,
            output_samples=functools.partial(_output_samples, frequencies),
            details={
                "num_train": len(splits[TRAIN]),
                "num_search_eval": len(splits[SEARCH_EVAL]),
                "num_test": len(splits[TEST]),
                "num_classes": num_classes,
                "class_names": list(images.class_names),
                "image_shape": list(image_shape),
                "division": seed,
                "imbalance": tail,
                "noise": noise,
                "wrong_train_labels": int((labels != splits[TRAIN].labels).sum()),
                "train_images_by_class": np.bincount(splits[TRAIN].labels, minlength=num_classes).tolist(),
                "train_labels_by_class": np.bincount(labels, minlength=num_classes).tolist(),
                "augmentation": settings.augmentation,
                "pixels": f"(x - {settings.pixel_mean}) / {settings.pixel_deviation}",
                "network": settings.model,
                "precision": settings.precision,
                "num_parameters": num_parameters,
            },
        )

    forward = _make_forward(network, prepare)
    scores = _make_scores(predict, scored.metrics, settings.evaluation_batch, unroll=network.native_convolution)
    host_metrics = scored.host_metrics(
        lambda variables, examples: jax.nn.softmax(predict(variables, examples["image"])),
        lambda examples: examples["label"],
        settings.evaluation_batch,
    )
    rejection_problem = _make_rejection_problem(predict, context.rejection_variable, context.rejection_minimum_gain)
    return build(settings.division)


def _long_tailed(
    train: LabelledImages, pool: np.ndarray, num_classes: int, settings: ClassificationSettings, division: int
) -> LabelledImages:
    """The training split after imbalance; `pool` are the labels that all divisions draw theirs from."""
    if settings.imbalance_ratio == 1:
        return train
    # Of what every division has, so that all of them are of one size.
    counts = long_tail_counts(sure_counts(pool, len(train), num_classes), settings.imbalance_ratio)
    generator = np.random.default_rng((settings.imbalance_seed, division))
    return train.take(long_tailed_rows(train.labels, counts, generator))


def _spatial(array: Array) -> Array:
    """`[N, C]` as `[N, 1, 1, C]`."""
    return array[:, None, None, :]


def _make_forward(network: Network, prepare: Callable[[Array], Array]) -> Callable[..., tuple[dict[str, LossInputs], PyTree]]:
    def forward(variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        logits, updated = network.train(variables, prepare(batch["image"]), key)
        return _inputs_of(logits, batch), updated

    return forward


def _inputs_of(logits: Array, batch: Mapping[str, Array]) -> dict[str, LossInputs]:
    """What a loss sees of logits `[N, C]` and the `label` `[N]` and `prior` `[N, C]` of a batch."""
    arrays = {
        "prediction": jax.nn.softmax(logits),
        "target": jax.nn.one_hot(batch["label"], logits.shape[-1], dtype=logits.dtype),
        "logits": logits,
    }
    # Batches of the other splits, which nothing is trained on, know nothing of the training labels.
    if "prior" in batch:
        arrays["prior"] = batch["prior"].astype(logits.dtype)
    return {BRANCH: LossInputs.create({name: _spatial(array) for name, array in arrays.items()})}


def _output_samples(frequencies: np.ndarray) -> OutputSamples:
    """Made-up logits with labels, and the class frequencies `[C]` that losses may read."""
    logits, labels = class_logits(len(frequencies))
    return OutputSamples(logits, {"label": labels, "prior": jnp.broadcast_to(frequencies, logits.shape)}, _inputs_of)


def _make_scores(
    predict: Callable[[PyTree, Array], Array], metrics: Mapping[str, Metric], evaluation_batch: int, unroll: bool
) -> Callable[[PyTree, PyTree], Mapping[str, Array]]:
    """Scores in chunks of equal size, so that memory is bounded by `evaluation_batch` images."""

    def scores(variables: PyTree, examples: Mapping[str, Array]) -> Mapping[str, Array]:
        logits = map_chunks(functools.partial(predict, variables), examples["image"], evaluation_batch, unroll)
        return {name: metric(logits, examples["label"]) for name, metric in metrics.items()}

    return scores


def _make_rejection_problem(
    predict: Callable[[PyTree, Array], Array], variable: str, minimum_gain: float
) -> Callable[[PyTree, PyTree, Array, int], dict[str, RejectionProblem]]:
    """The untrained network's predictions on a few training samples, drawn so that there is room for the gain."""
    logits = jax.jit(predict)

    def inputs(value: Array, context: Mapping[str, Array]) -> LossInputs:
        arrays = {"prediction": value, "target": context["target"], "prior": context["prior"]}
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
            prior = chosen["prior"].astype(start.dtype)
            context = {"target": _spatial(target), "prior": _spatial(prior), "label": labels}
            return RejectionProblem(start=_spatial(start), context=context, inputs=inputs, metric=metric)

        return {BRANCH: draw_with_headroom(draw, key, minimum_gain, REJECTION_MARGIN)}

    return rejection_problem
