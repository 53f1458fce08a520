"""Regression: numbers from features or images, any network with an output for each number, outliers on request."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.errors import UserError
from jaxloss.core.problem import PREDICTIONS
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.base import SPLITS, Task
from jaxloss.tasks.chunks import map_chunks
from jaxloss.tasks.context import NO_RUN, TaskContext
from jaxloss.tasks.data.image_splits import with_held_out_test
from jaxloss.tasks.data.stream import place_split
from jaxloss.tasks.metrics.registry import import_metric, score_name
from jaxloss.tasks.metrics.regression import ALIASES, METRICS
from jaxloss.tasks.models.by_name import network_by_name
from jaxloss.tasks.models.network import Network
from jaxloss.tasks.regression.inputs import MEANINGS, OFFERS, inputs_of, output_samples
from jaxloss.tasks.regression.rejection import make_problem
from jaxloss.tasks.regression.settings import SECTION, RegressionSettings
from jaxloss.tasks.regression.source import MeasuredSource, load_measured
from jaxloss.tasks.regression.splits import DEVIATION, INPUT, MEAN, TARGET, make_splits, num_outliers
from jaxloss.tasks.scored import Scored


def make_regression(settings: RegressionSettings, context: TaskContext = NO_RUN) -> Task:
    """A regression task; see `regression_of`.

    Args:
      settings: of the task.
      context: the rest of the run: where data lie.

    Raises:
      UserError: for absent or broken data, and for settings that do not suit them.
    """
    source = load_measured(settings.source, context.data_dir)
    num_targets, shape = source.train.targets.shape[1], source.train.inputs.shape[1:]
    if shape[:2] and len(shape) < 3 and settings.model not in ("mlp",) and ":" not in settings.model:
        raise UserError(f"{SECTION}.model={settings.model} takes images [M, H, W, C], and {settings.source} has {list(shape)}")
    network = network_by_name(settings.model, num_targets, settings.model_options, settings.precision, shape, SECTION)
    metric = ALIASES.get(settings.metric, settings.metric)
    functions = dict(METRICS)
    if metric not in METRICS:
        examples = jax.ShapeDtypeStruct((4, num_targets), jnp.float32)
        functions[score_name(metric)] = import_metric(metric, (examples, examples), METRICS)
    metric = score_name(metric)
    scored = Scored(metric, tuple(name for name in functions if name != metric), functions)
    return regression_of(source, network, scored, settings)


def regression_of(source: MeasuredSource, network: Network, scored: Scored, settings: RegressionSettings) -> Task:
    """The same from parts that are made already.

    A batch, and every split of the data, is what `splits.make_splits` gives. The network predicts standardised targets.
    `forward` offers `prediction` and `target`, each `[N, 1, 1, K]`. Metrics in `METRICS` are given both standardised, all
    others in the units of the source.

    Args:
      source: of the examples; divided here.
      network: gives predictions `[N, K]`, in place of logits.
      scored: what by.
      settings: all of them but where data, network and metrics come from; `model` is the name of the network.

    Raises:
      UserError: for settings that do not suit the data.
    """
    settings = settings.drawn(0)
    source = with_held_out_test(source, settings.fractions, settings.test_seed, settings.block)
    shape, num_targets = source.train.inputs.shape[1:], source.train.targets.shape[1]

    def init(key: Array) -> PyTree:
        return network.init(key, jnp.zeros((1, *shape), jnp.float32))

    def predict(variables: PyTree, inputs: Array) -> Array:
        return network.predict(variables, _as_float(inputs))

    def forward(variables: PyTree, batch: Mapping[str, Array], key: Array) -> tuple[dict[str, LossInputs], PyTree]:
        predictions, updated = network.train(variables, _as_float(batch[INPUT]), key)
        return inputs_of(predictions, batch[TARGET]), updated

    num_parameters = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init, jax.random.key(0))["params"]))
    outliers = f"{settings.outlier_share:.0%} outliers" if settings.outlier_share else ""

    def build(division: int) -> Task:
        splits = make_splits(source, settings, division)
        return Task(
            name=" with ".join(filter(None, (source.name, outliers))),
            metric=scored.metric,
            also_shown=scored.also_shown,
            offers=OFFERS,
            init=init,
            forward=forward,
            scores=scores,
            host_metrics=host_metrics,
            problems={PREDICTIONS: problem},
            data={name: place_split(arrays, streamed=False) for name, arrays in splits.items()},
            with_division=build,
            native_convolution=network.native_convolution,
            meanings=MEANINGS,
            customary_losses=("mse", "absolute_error", "log_cosh", "cauchy", "welsch"),
            output_samples=functools.partial(output_samples, num_targets),
            details={
                **{f"num_{name}": len(splits[name][TARGET]) for name in SPLITS},
                "num_targets": num_targets,
                "input_shape": list(shape),
                "division": division,
                "outliers": outliers or "none",
                "num_outliers": num_outliers(settings, splits),
                "inputs": "standardised by train" if settings.standardise_inputs and len(shape) == 1 else "as they are",
                "network": settings.model,
                "precision": settings.precision,
                "num_parameters": num_parameters,
            },
        )

    scores = _make_scores(predict, scored.metrics, settings.evaluation_batch, network.native_convolution)
    host_metrics = scored.host_metrics(
        lambda variables, examples: _in_units(predict(variables, examples[INPUT]), examples),
        lambda examples: _in_units(examples[TARGET], examples),
        settings.evaluation_batch,
    )
    problem = make_problem(predict)
    return build(settings.division)


def _as_float(inputs: Array) -> Array:
    """Images of uint8 as 0 to 1."""
    return inputs.astype(jnp.float32) / 255 if inputs.dtype == jnp.uint8 else inputs


def _in_units(standardised: Array, examples: Mapping[str, Array]) -> Array:
    """Predictions or targets in the units of the source."""
    return standardised * examples[DEVIATION] + examples[MEAN]


def _make_scores(
    predict: Callable[[PyTree, Array], Array],
    metrics: Mapping[str, Callable[[Array, Array], Array]],
    evaluation_batch: int,
    unroll: bool,
) -> Callable[[PyTree, PyTree], Mapping[str, Array]]:
    def scores(variables: PyTree, examples: Mapping[str, Array]) -> Mapping[str, Array]:
        predictions = map_chunks(functools.partial(predict, variables), examples[INPUT], evaluation_batch, unroll)
        pairs = predictions, examples[TARGET]
        in_units = [_in_units(one, examples) for one in pairs]
        return {name: metric(*(pairs if name in METRICS else in_units)) for name, metric in metrics.items()}

    return scores
