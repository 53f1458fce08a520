"""Retrieval of identities, such as person re-identification: an embedding network, cosines to identities, mAP on unseen ones."""

import dataclasses
import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.problem import COSINES, RejectionProblem
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN, Task
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.cosine_problem import toy_problem
from jaxloss.tasks.cosine_samples import cosine_samples
from jaxloss.tasks.data.identities.load import load_identities
from jaxloss.tasks.data.identities.source import IdentifiedImages, IdentitySource, with_test_of
from jaxloss.tasks.data.identities.split import split_identities, with_held_out_test
from jaxloss.tasks.data.identity_batches import num_pk_batches, pk_order
from jaxloss.tasks.data.preprocess import make_augmentation, standardise
from jaxloss.tasks.data.stream import STREAMED, example_shapes, place_split, resident_arrays
from jaxloss.tasks.metrics.reranking import RerankingSettings
from jaxloss.tasks.metrics.verification import VERIFICATION
from jaxloss.tasks.models.backbone import backbone_mask, with_pretrained
from jaxloss.tasks.models.cosine import CosineClassifiers
from jaxloss.tasks.models.registry import make_embedding_model
from jaxloss.tasks.retrieval_inputs import BRANCH, MEANINGS, OFFERS, make_forward, triplet_branch
from jaxloss.tasks.retrieval_scores import RECALLS, make_features, make_scores, reranked
from jaxloss.tasks.retrieval_settings import RetrievalSettings
from jaxloss.tasks.user_options import options_of_the_user


def make_retrieval(settings: RetrievalSettings, context: TaskContext = NO_RUN) -> Task:
    """A retrieval task.

    `train` is `{'image': [N, H, W, C], 'identity': int32 [N]}`; `search_eval` and `test`, whose identities are others, have
    `camera`, `query` and `gallery` too. `forward` offers `cosine` and `target` `[N, M, 1, C]`, for each of the M heads of the
    network the cosines to all training identities, or to the other samples of the batch. `scores` gives mean average precision
    in both conventions and the matching rates at `RANKS`, see `metrics.retrieval`.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie, and what the task has to suit.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them or the run.

    References:
      H. Gu et al.: Searching Generalized Margin-based Softmax Loss Function for Person Re-identification, CVPR 2022, supplement,
      Section G.
    """
    _check_run(settings, context)
    if "dtype" in settings.model_options:
        raise UserError("model_options has no dtype: what the network computes in is task.retrieval.precision")
    image_size = settings.image_size if any(settings.image_size) else None
    metric, per_batch = settings.metric, (settings.identities_per_batch, settings.images_per_identity)

    def load(name: str, options: Mapping[str, str]) -> IdentitySource:
        loaded = load_identities(name, context.data_dir, settings.download, image_size, settings.resampling, options)
        return with_held_out_test(loaded, settings.test_fraction, settings.test_seed)

    images = load(settings.source, settings.source_options)
    if settings.test_source:
        images = with_test_of(images, load(settings.test_source, settings.test_source_options))
    has_cameras = images.test.cameras is not None
    if has_cameras and metric in RECALLS:
        raise UserError(
            f"task.retrieval.metric: {metric} is for images without cameras; these have cameras, for which there is "
            f"{metric.replace('recall', 'rank')}"
        )
    divide = functools.partial(
        split_identities,
        images,
        settings.train_fraction,
        queries=settings.queries,
        train_limit=settings.train_limit or None,
        search_eval_limit=settings.search_eval_limit or None,
    )

    def splits_of(seed: int) -> dict[str, IdentifiedImages]:
        splits = dict(divide(seed=seed))
        if settings.train_on_all:
            splits[TRAIN] = divide(seed=seed, train_on_all=True)[TRAIN]
        return splits

    num_identities = splits_of(settings.division)[TRAIN].num_identities
    network = make_embedding_model(settings.model, {**settings.model_options, "dtype": settings.precision})
    module = CosineClassifiers(network, num_identities if settings.cosines_to == "classes" else 0, settings.class_length)
    image_shape = images.train.images.shape[1:]
    prepare = functools.partial(standardise, mean=settings.pixel_mean, deviation=settings.pixel_deviation)
    native = getattr(network, "convolution", "native") == "native"

    def init(key: Array) -> PyTree:
        return module.init(key, prepare(jnp.zeros((1, *image_shape), jnp.float32)), train=False)

    if settings.pretrained:
        with options_of_the_user("task.retrieval.model_options", settings.model_options):
            init = with_pretrained(init, network, settings.pretrained)
    with options_of_the_user("task.retrieval.model_options", settings.model_options):
        shapes = jax.eval_shape(init, jax.random.key(0))
    example = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    embeddings, _ = jax.eval_shape(module.apply, shapes, example)
    if settings.triplet_weight and embeddings.metric is None:
        raise UserError(
            f"task.retrieval.triplet_weight needs a network with embeddings for it; '{settings.model}' has none, mgn does"
        )
    order = functools.partial(_pk_epoch, num_identities, *per_batch) if settings.identities_per_batch else None
    augment = make_augmentation(settings.augmentation, settings.augmentation_options)

    verifies = settings.verification or metric in VERIFICATION
    shown = ("mAP_step", "rank_1" if has_cameras else "recall_1", *(VERIFICATION if verifies else ()))

    def build(seed: int) -> Task:
        splits = splits_of(seed)
        return Task(
            name=images.name,
            metric=metric,
            also_shown=tuple(name for name in shown if name != metric),
            offers={BRANCH: OFFERS},
            meanings={BRANCH: MEANINGS},
            init=init,
            forward=forward,
            scores=scores,
            augment=augment,
            problems={COSINES: problem},
            data={
                name: _train(part, settings.training_data == STREAMED) if name == TRAIN else _evaluated(part)
                for name, part in splits.items()
            },
            with_division=build,
            auxiliary_losses=auxiliary_losses,
            order=order,
            backbone=backbone_mask,
            final_scores=final_scores,
            native_convolution=native,
            output_samples=functools.partial(cosine_samples, BRANCH),
            details={
                **{f"num_{name}": len(part) for name, part in splits.items()},
                **{f"identities_{name}": part.num_identities for name, part in splits.items()},
                "queries_search_eval": int(splits[SEARCH_EVAL].is_query.sum()),
                "queries_test": int(splits[TEST].is_query.sum()),
                "cameras": has_cameras,
                "test_source": settings.test_source or settings.source,
                "image_shape": list(image_shape),
                "division": seed,
                "train_on_all": settings.train_on_all,
                "augmentation": settings.augmentation,
                "pixels": f"(x - {settings.pixel_mean}) / {settings.pixel_deviation}",
                "network": settings.model,
                "pretrained": settings.pretrained or "no",
                "precision": settings.precision,
                "num_parameters": sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])),
            },
        )

    forward = make_forward(module, prepare, settings.cosines_to, bool(settings.triplet_weight))
    auxiliary_losses = triplet_branch(settings.triplet_weight, settings.triplet_margin)
    features = make_features(module, prepare, settings.evaluation_batch, settings.flip_test, unroll=native)
    scores = make_scores(features, has_cameras, verifies)
    final_scores = functools.partial(reranked, jax.jit(features), _reranking(settings)) if settings.rerank else None
    problem = functools.partial(_cosine_problem, settings.toy_classes, settings.toy_variable)
    made = build(settings.division)
    # Mistakes in their settings come to light as the batches are put together: here, and not in the first training.
    key, train = jax.random.key(0), made.data[TRAIN]
    if augment is not None:
        with options_of_the_user("task.retrieval.augmentation_options", settings.augmentation_options):
            jax.eval_shape(augment, example_shapes(train), key)
    if order is not None:
        jax.eval_shape(order, key, resident_arrays(train))
    return made


def _check_run(settings: RetrievalSettings, context: TaskContext) -> None:
    """What the task and the keys of other sections owe to each other."""
    per_batch = (settings.identities_per_batch, settings.images_per_identity)
    if settings.identities_per_batch and context.batch_size not in (None, math.prod(per_batch)):
        raise UserError(
            f"training.batch_size ({context.batch_size}) must be identities_per_batch x images_per_identity = "
            f"{per_batch[0]} x {per_batch[1]} of task.retrieval"
        )
    if settings.train_on_all and context.mode not in (None, "train"):
        raise UserError(
            f"task.retrieval.train_on_all is for mode=train: a mode={context.mode} needs identities that were not trained on"
        )
    if settings.train_on_all and len(context.divisions) > 1:
        raise UserError(
            "task.retrieval.train_on_all leaves nothing to divide, and every training would be repeated for each of the "
            f"{len(context.divisions)} divisions of the data: set comparison.num_divisions=1"
        )
    if settings.rerank and context.mode == "compare":
        raise UserError("task.retrieval.rerank is for the network that a run keeps, and mode=compare keeps none: use mode=train")


def _reranking(settings: RetrievalSettings) -> RerankingSettings:
    names = [field.name for field in dataclasses.fields(RerankingSettings)]
    return RerankingSettings(**{name: getattr(settings, f"rerank_{name}") for name in names})


def _pk_epoch(num_identities: int, identities_per_batch: int, images_per_identity: int, key: Array, train: PyTree) -> Array:
    num_batches = num_pk_batches(len(train["identity"]), identities_per_batch, images_per_identity)
    return pk_order(key, train["identity"], num_identities, identities_per_batch, images_per_identity, num_batches)


def _train(part: IdentifiedImages, streamed: bool) -> PyTree:
    # Batches are put together by identity.
    return place_split({"image": part.images, "identity": part.identities}, streamed, resident=("identity",))


def _evaluated(part: IdentifiedImages) -> dict[str, Array]:
    arrays = {"image": part.images, "identity": part.identities}
    arrays |= {"camera": part.viewpoints, "query": part.is_query, "gallery": part.is_gallery}
    return place_split(arrays, streamed=False)


def _cosine_problem(
    toy_classes: int, toy_variable: str, variables: PyTree, examples: PyTree, key: Array, num_samples: int
) -> dict[str, RejectionProblem]:
    """The toy optimisation needs neither network nor images."""
    del variables, examples
    return {BRANCH: toy_problem(key, num_samples, toy_classes, toy_variable)}
