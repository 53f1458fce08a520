"""A task from arrays, a network and a metric: nobody has to write a `Task` by hand for it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxloss.core.abstract import named_errors
from jaxloss.core.arguments import expect
from jaxloss.core.conditions import When
from jaxloss.core.errors import UserError, unknown
from jaxloss.core.settings import Settings, declarations, defaults
from jaxloss.tasks.base import Task
from jaxloss.tasks.classification import classification_of
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.data.source import labelled_images, make_source, refuse_untrained_classes
from jaxloss.tasks.own_arrays import Arrays, float32, numbered_classes, own_arrays, unlike_scales
from jaxloss.tasks.own_metric import scored_by
from jaxloss.tasks.own_network import network_title, own_network
from jaxloss.tasks.regression.settings import RegressionSettings
from jaxloss.tasks.regression.source import make_measured_source, measured
from jaxloss.tasks.regression.task import regression_of

CLASSIFICATION, REGRESSION = KINDS = ("classification", "regression")
# What the arguments say in their place.
_SAID = ("source", "download", "model", "model_options", "precision", "metric", "also_shown", "division")


def make_task(
    inputs: np.ndarray,
    targets: np.ndarray,
    network: Any,
    metric: str | Callable[[Any, Any], Any],
    *,
    test: Arrays | None = None,
    kind: str | None = None,
    also_shown: Sequence[str | Callable[[Any, Any], Any]] = (),
    name: str = "own data",
    **settings: Any,
) -> Task:
    """A task from arrays, for `jaxloss.run(config, workdir, task=...)`.

    Args:
      inputs: `[M, D]`, `[M, H, W]` or `[M, H, W, channels]`; the network is called with rows of them as they are, images of
        uint8 as 0 to 1. Features of a regression are standardised by the training split first.
      targets: classes `[M]`, integers from 0 or text, or numbers `[M]` or `[M, K]`, which are standardised likewise. Inputs and
        targets may be of NumPy, JAX or pandas.
      network: a Linen module, which is called with `(inputs, train)` or with inputs alone, or a function `rngs -> NNX module`,
        with BatchNorm and dropout or without; it gives logits `[N, C]`, or predictions `[N, K]`. Or `mlp`, a small one.
      metric: what a search maximises: a name, such as `balanced_accuracy` or `r2`, or a function `(predictions, targets) ->
        number` from 0 to 1, the higher the better, where less than 0 counts as 0. Predictions are probabilities `[M, C]` with
        labels `[M]`, or values with targets `[M, K]` in the units of the targets. A function that JAX can trace is compiled;
        any other, such as one of scikit-learn, gets NumPy arrays of the whole split.
      test: inputs and targets that nothing but the last comparison sees; by default a share of the examples is held out.
      kind: `classification` or `regression`; by default floats are a regression, all else are classes.
      also_shown: further metrics, for the tables.
      name: of the data, in reports.
      **settings: keys of the section `task.classification` or `task.regression`, such as `fractions` or `noise_rate`.

    Raises:
      UserError: names the argument that is wrong.
    """
    expect("name", name, str, "text, a name for the data")
    expect("also_shown", also_shown, (tuple, list), "a list of metrics")
    parts = [own_arrays("inputs", inputs, targets), *([] if test is None else [own_arrays("test", *_pair(test))])]
    _expect_alike(parts)
    kind = _kind(kind, parts[0][1])
    kinds = {CLASSIFICATION: (ClassificationSettings, _classification), REGRESSION: (RegressionSettings, _regression)}
    settings_class, make = kinds[kind]
    return make(name, parts, network, (metric, *also_shown), _settings(settings_class, settings))


def _classification(
    name: str, parts: list[Arrays], network: Any, metrics: tuple[Any, ...], settings: ClassificationSettings
) -> Task:
    parts, class_names = numbered_classes(parts)
    shape = parts[0][0].shape[1:]
    stored = _stored_shape(shape)
    sets = [
        labelled_images(inputs.reshape(-1, *stored), labels, f"{name} ({which})") for (inputs, labels), which in _named(parts)
    ]
    source = make_source(name, sets[0], sets[1] if len(sets) > 1 else None, class_names)
    refuse_untrained_classes(source, name)
    scored = scored_by(CLASSIFICATION, metrics, source.num_classes)
    made = own_network(network, source.num_classes, shape, stored, settings.section, "logits")
    task = _titled(classification_of(source, made, scored, settings), network)
    return dataclasses.replace(task, remarks=unlike_scales(parts[0][0]))


def _regression(name: str, parts: list[Arrays], network: Any, metrics: tuple[Any, ...], settings: RegressionSettings) -> Task:
    sets = [measured(inputs, float32("targets", targets), f"{name} ({which})") for (inputs, targets), which in _named(parts)]
    source = make_measured_source(name, sets[0], sets[1] if len(sets) > 1 else None)
    shape, num_targets = source.train.inputs.shape[1:], source.train.targets.shape[1]
    scored = scored_by(REGRESSION, metrics, num_targets)
    made = own_network(network, num_targets, shape, shape, settings.section, "predictions")
    return _titled(regression_of(source, made, scored, settings), network)


def _titled(task: Task, network: Any) -> Task:
    """With what the network is called, in every division."""
    details = {**task.details, "network": network_title(network)}
    return dataclasses.replace(
        task, details=details, with_division=lambda division: _titled(task.with_division(division), network)
    )


def _named(parts: list[Arrays]) -> list[tuple[Arrays, str]]:
    return list(zip(parts, ("train", "test"), strict=False))


def _expect_alike(parts: list[Arrays]) -> None:
    train, *test = [inputs.shape[1:] for inputs, _ in parts]
    if test and test[0] != train:
        raise UserError(f"inputs are {list(train)} each, those of test {list(test[0])}")


def _pair(test: Any) -> Arrays:
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise UserError("test must be (inputs, targets), two arrays")
    return tuple(test)


def _kind(kind: str | None, targets: np.ndarray) -> str:
    if kind is None:
        return REGRESSION if np.issubdtype(targets.dtype, np.floating) else CLASSIFICATION
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    return kind


def _settings(kind: type[Settings], given: dict[str, Any]) -> Any:
    known = [field for field in declarations(kind) if field not in _SAID]
    if wrong := [key for key in given if key not in known]:
        raise unknown("argument of make_task", wrong[0], ["test", "kind", "also_shown", "name", *known])
    for key, default in defaults(kind).items():
        if isinstance(default, tuple) and not isinstance(given.get(key, default), tuple | list):
            raise UserError(f"the argument {key} of make_task takes a tuple such as {default}, not {given[key]!r}")
    with named_errors("an argument of make_task"):
        made = kind(**given, model="mlp")
    values = {made.key(name): getattr(made, name) for name in declarations(kind)}
    for name in given:
        for condition in declarations(kind)[name].acts_when:
            if isinstance(condition, When) and condition.other in values and not condition.holds(values[condition.other]):
                other = condition.other.rpartition(".")[2]
                raise UserError(
                    f"the argument {name} of make_task does nothing: give {other} too, which is {getattr(made, other)!r}"
                )
    return made


def _stored_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """As an image: features lie along the channels."""
    return {1: (1, 1, *shape), 2: (*shape, 1)}.get(len(shape), shape)
