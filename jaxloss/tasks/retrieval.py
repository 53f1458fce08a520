"""Retrieval of identities, such as person re-identification: an embedding network, cosines to identities, mAP on unseen ones."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN, Task
from jaxloss.tasks.data.identities.load import load_identities
from jaxloss.tasks.data.identities.source import IdentifiedImages, IdentitySource, with_test_of
from jaxloss.tasks.data.identities.split import split_identities, with_held_out_test
from jaxloss.tasks.data.identity_batches import num_pk_batches, pk_order
from jaxloss.tasks.data.preprocess import AUGMENTATIONS, make_augmentation, standardise
from jaxloss.tasks.metrics.reranking import RerankingSettings
from jaxloss.tasks.models.backbone import backbone_mask, with_pretrained
from jaxloss.tasks.models.cosine import CosineClassifiers
from jaxloss.tasks.models.registry import make_embedding_model
from jaxloss.tasks.retrieval_inputs import BRANCH, COSINES_TO, OFFERS, make_forward, triplet_branch
from jaxloss.tasks.retrieval_scores import RANKS, make_features, make_scores, reranked
from jaxloss.tasks.toy_margin import VARIABLES, toy_problem

RECALLS = tuple(f"recall_{rank}" for rank in RANKS)
METRICS = ("mAP_step", "mAP_trapezoid", *(f"rank_{rank}" for rank in RANKS), *RECALLS)
PRECISIONS = ("float32", "bfloat16")


def make_retrieval(
    source: str,
    *,
    source_options: Mapping[str, str] | None = None,
    test_source: str = "",
    test_source_options: Mapping[str, str] | None = None,
    data_dir: str | None = None,
    download: bool = False,
    image_size: tuple[int, int] | None = None,
    resampling: str = "bilinear",
    train_fraction: float = 0.8,
    train_on_all: bool = False,
    test_fraction: float = 0.3,
    test_seed: int = 0,
    split_seed: int = 0,
    queries: str = "all",
    train_limit: int | None = None,
    search_eval_limit: int | None = None,
    model: str = "embedding_cnn",
    model_options: Mapping[str, Any] | None = None,
    pretrained: str = "",
    precision: str = "float32",
    cosines_to: str = "classes",
    class_length: float = 1.0,
    triplet_weight: float = 0.0,
    triplet_margin: float = 0.3,
    identities_per_batch: int = 16,
    images_per_identity: int = 4,
    augmentation: str = "none",
    augmentation_options: Mapping[str, Any] | None = None,
    pixel_mean: float | tuple[float, ...] = 0.0,
    pixel_deviation: float | tuple[float, ...] = 1.0,
    flip_test: bool = False,
    metric: str = "mAP_step",
    evaluation_batch: int = 500,
    rerank: bool = False,
    rerank_k1: int = 20,
    rerank_k2: int = 6,
    rerank_distance_weight: float = 0.3,
    rerank_expansion: str = "more_than",
    toy_classes: int = 16,
    toy_variable: str = "bounded",
) -> Task:
    """A retrieval task from plain values.

    `train` is `{'image': [N, H, W, C], 'identity': int32 [N]}`; `search_eval` and `test`, whose identities are others, have
    `camera`, `query` and `gallery` too. `forward` offers `cosine` and `target` `[N, M, 1, C]`, for each of the M heads of the
    network the cosines to all training identities, or to the other samples of the batch. `scores` gives mean average precision
    in both conventions and the matching rates at `RANKS`, see `metrics.retrieval`.

    Args:
      source: see `data.identities.load.load_identities`.
      source_options: what only this kind of source has.
      test_source: where the test set comes from, if not from the source: cross-domain evaluation.
      test_source_options: of it.
      data_dir: folder of the data.
      download: whether a source may fetch what is absent.
      image_size: (height, width) that images are brought to, or None.
      resampling: how, see `data.identities.images`.
      train_fraction: of the training identities that go to `train`; the others are `search_eval` (AutoLoss-GMS, Section G.1).
      train_on_all: all training identities go to `train`: for the final training of a finished loss, never for a search.
      test_fraction: of the identities of a source without a test set that are held out for it.
      test_seed: of those.
      split_seed: of the division into train and search_eval; `with_split` sets another.
      queries: who is a query where the source does not say it, see `data.identities.roles`.
      train_limit: the most training identities, None for all. Likewise `search_eval_limit`.
      model: name of the network in `models.registry.EMBEDDING_MODELS`.
      model_options: attributes of the network.
      pretrained: a `.safetensors` file with ImageNet weights of the network, or empty.
      precision: what the network computes in, `float32` or `bfloat16`; embeddings, cosines and loss are float32.
      cosines_to: `classes` (the margin-based softmax) or `samples` (its pair-wise form, supplement, Eq. 20).
      class_length: about how long the classes' directions begin, see `models.cosine.CosineClassifiers`.
      triplet_weight: of the triplet loss on the network's `metric` embeddings, trained beside every candidate; 0 without.
      triplet_margin: of it.
      identities_per_batch: `P`; 0 takes images in random order.
      images_per_identity: `K`. The training's batch size is `P * K`.
      augmentation: name in `data.preprocess.AUGMENTATIONS`.
      augmentation_options: of it, for example `padding`.
      pixel_mean: taken from every pixel, on the scale of 0 to 1; one number or one per channel.
      pixel_deviation: what pixels are divided by then.
      flip_test: features are means over an image and its mirror image.
      metric: in `METRICS`, what the search maximises; `recall_k`, which is `rank_k` without cameras, only where there are none.
      evaluation_batch: the most images that go through the network at once in `scores`.
      rerank: the test set is ranked again with the network that a run keeps, see `metrics.reranking`, which says what the other
        `rerank_` settings are.
      toy_classes: `C` of the toy optimisation.
      toy_variable: see `toy_margin`.

    Raises:
      UserError: for an unknown name, for absent or broken data, for a value out of range.

    References:
      AutoLoss-GMS, CVPR 2022, supplement, Section G.
    """
    for key, value, choices in (
        ("augmentation", augmentation, AUGMENTATIONS),
        ("metric", metric, METRICS),
        ("cosines_to", cosines_to, COSINES_TO),
        ("precision", precision, PRECISIONS),
        ("toy_variable", toy_variable, VARIABLES),
    ):
        if value not in choices:
            raise unknown(f"task.retrieval.{key}", value, choices)
    if "dtype" in (model_options or {}):
        raise UserError("model_options has no dtype: what the network computes in is task.retrieval.precision")

    needs_pairs = {"cosines_to=samples": cosines_to == "samples", "triplet_weight": triplet_weight > 0}
    for key in (key for key, is_set in needs_pairs.items() if is_set and identities_per_batch):
        if identities_per_batch < 2 or images_per_identity < 2:
            raise UserError(
                f"task.retrieval.{key} compares the images of a batch: identities_per_batch and images_per_identity must be at "
                f"least 2, not {identities_per_batch} and {images_per_identity}"
            )
    if test_source_options and not test_source:
        raise UserError("task.retrieval.test_source_options are of a test_source, and none is named")

    def load(name: str, options: Mapping[str, str] | None) -> IdentitySource:
        loaded = load_identities(name, data_dir, download, image_size, resampling, options)
        return with_held_out_test(loaded, test_fraction, test_seed)

    images = load(source, source_options)
    if test_source:
        images = with_test_of(images, load(test_source, test_source_options))
    has_cameras = images.test.cameras is not None
    if has_cameras and metric in RECALLS:
        raise UserError(
            f"task.retrieval.metric: {metric} is for images without cameras; these have cameras, for which there is "
            f"{metric.replace('recall', 'rank')}"
        )
    divide = functools.partial(
        split_identities,
        images,
        train_fraction,
        queries=queries,
        train_limit=train_limit,
        search_eval_limit=search_eval_limit,
    )

    def splits_of(seed: int) -> dict[str, IdentifiedImages]:
        splits = dict(divide(seed=seed))
        if train_on_all:
            splits[TRAIN] = divide(seed=seed, train_on_all=True)[TRAIN]
        return splits

    num_identities = splits_of(split_seed)[TRAIN].num_identities
    network = make_embedding_model(model, {**(model_options or {}), "dtype": precision})
    module = CosineClassifiers(network, num_identities if cosines_to == "classes" else 0, class_length)
    image_shape = images.train.images.shape[1:]
    prepare = functools.partial(standardise, mean=pixel_mean, deviation=pixel_deviation)
    native = getattr(network, "convolution", "native") == "native"

    def init(key: Array) -> PyTree:
        return module.init(key, prepare(jnp.zeros((1, *image_shape), jnp.float32)), train=False)

    if pretrained:
        with _options_of_the_user("model_options", model_options):
            init = with_pretrained(init, network, pretrained)
    with _options_of_the_user("model_options", model_options):
        shapes = jax.eval_shape(init, jax.random.key(0))
    example = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    embeddings, _ = jax.eval_shape(module.apply, shapes, example)
    if triplet_weight and embeddings.metric is None:
        raise UserError(f"task.retrieval.triplet_weight needs a network with embeddings for it; '{model}' has none, mgn does")
    order = None
    if identities_per_batch:
        order = functools.partial(_pk_epoch, num_identities, identities_per_batch, images_per_identity)
    augment = make_augmentation(augmentation, augmentation_options or {})

    def build(seed: int) -> Task:
        splits = splits_of(seed)
        return Task(
            name=images.name,
            metric=metric,
            also_shown=tuple(name for name in ("mAP_step", "rank_1" if has_cameras else "recall_1") if name != metric),
            offers={BRANCH: OFFERS},
            init=init,
            forward=forward,
            scores=scores,
            augment=augment,
            rejection_problem=rejection_problem,
            data={name: _arrays(part, evaluated=name != TRAIN) for name, part in splits.items()},
            with_split=build,
            auxiliary_losses=auxiliary_losses,
            order=order,
            backbone=backbone_mask,
            final_scores=final_scores,
            native_convolution=native,
            details={
                **{f"num_{name}": len(part) for name, part in splits.items()},
                **{f"identities_{name}": part.num_identities for name, part in splits.items()},
                "queries_search_eval": int(splits[SEARCH_EVAL].is_query.sum()),
                "queries_test": int(splits[TEST].is_query.sum()),
                "cameras": has_cameras,
                "test_source": test_source or source,
                "image_shape": list(image_shape),
                "split_seed": seed,
                "train_on_all": train_on_all,
                "augmentation": augmentation,
                "pixels": f"(x - {pixel_mean}) / {pixel_deviation}",
                "network": model,
                "pretrained": pretrained or "no",
                "precision": precision,
                "num_parameters": sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])),
            },
        )

    forward = make_forward(module, prepare, cosines_to, bool(triplet_weight))
    auxiliary_losses = triplet_branch(triplet_weight, triplet_margin)
    features = make_features(module, prepare, evaluation_batch, flip_test, unroll=native)
    scores = make_scores(features, has_cameras)
    final_scores = None
    if rerank:
        settings = RerankingSettings(rerank_k1, rerank_k2, rerank_distance_weight, rerank_expansion)
        final_scores = functools.partial(reranked, jax.jit(features), settings)
    rejection_problem = functools.partial(_rejection_problem, toy_classes, toy_variable)
    made = build(split_seed)
    # Mistakes in their settings come to light as the batches are put together: here, and not in the first training.
    key, train = jax.random.key(0), made.data[TRAIN]
    if augment is not None:
        with _options_of_the_user("augmentation_options", augmentation_options):
            jax.eval_shape(augment, train, key)
    if order is not None:
        jax.eval_shape(order, key, train)
    return made


@contextlib.contextmanager
def _options_of_the_user(key: str, options: Mapping[str, Any] | None) -> Iterator[None]:
    """Where options of the user's are at work, an error of types and shapes is in their values."""
    try:
        yield
    except (TypeError, ValueError, ZeroDivisionError) as error:
        if not options or isinstance(error, UserError):
            raise
        raise UserError(f"task.retrieval.{key} do not fit ({dict(options)}): {str(error).splitlines()[0]}") from error


def _pk_epoch(num_identities: int, identities_per_batch: int, images_per_identity: int, key: Array, train: PyTree) -> Array:
    num_batches = num_pk_batches(len(train["identity"]), identities_per_batch, images_per_identity)
    return pk_order(key, train["identity"], num_identities, identities_per_batch, images_per_identity, num_batches)


def _arrays(part: IdentifiedImages, evaluated: bool) -> dict[str, Array]:
    arrays = {"image": part.images, "identity": part.identities}
    if evaluated:
        arrays |= {"camera": part.viewpoints, "query": part.is_query, "gallery": part.is_gallery}
    return {name: jnp.asarray(array) for name, array in arrays.items()}


def _rejection_problem(
    toy_classes: int, toy_variable: str, variables: PyTree, examples: PyTree, key: Array, num_samples: int
) -> dict[str, RejectionProblem]:
    """The toy optimisation needs neither network nor images."""
    del variables, examples
    return {BRANCH: toy_problem(key, num_samples, toy_classes, toy_variable)}
