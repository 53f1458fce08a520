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
from jaxloss.tasks.own_metric import scored_by
from jaxloss.tasks.own_network import network_title, own_network
from jaxloss.tasks.regression.settings import RegressionSettings
from jaxloss.tasks.regression.source import make_measured_source, measured
from jaxloss.tasks.regression.task import regression_of

CLASSIFICATION, REGRESSION = KINDS = ("classification", "regression")
Arrays = tuple[np.ndarray, np.ndarray]
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
      targets: classes `[M]`, integers from 0 or text, or numbers `[M]` or `[M, K]`, which are standardised likewise.
      network: a Linen module, which is called with `(inputs, train)` or with inputs alone, or a function `rngs -> NNX module`,
        with BatchNorm and dropout or without; it gives logits `[N, C]`, or predictions `[N, K]`. Or `mlp`, a small one.
      metric: what a search maximises: a name, such as `balanced_accuracy` or `r2`, or a function `(predictions, targets) ->
        number` from 0 to 1, the higher the better, where less than 0 counts as 0. Predictions are probabilities `[M, C]` with
        labels `[M]`, or values with targets `[M, K]` in the units of the targets. A function that JAX can trace is compiled;
        any other, such as one of scikit-learn, gets NumPy arrays of the whole split.
      test: inputs and targets that nothing but the last comparison sees; by default a share of the examples is held out.
      kind: `classification` or `regression`; by default numbers with a fraction are a regression.
      also_shown: further metrics, for the tables.
      name: of the data, in reports.
      **settings: keys of the section `task.classification` or `task.regression`, such as `fractions` or `noise_rate`.

    Raises:
      UserError: names the argument that is wrong.
    """
    expect("name", name, str, "text, a name for the data")
    expect("also_shown", also_shown, (tuple, list), "a list of metrics")
    parts = [_arrays("inputs", inputs, targets), *([] if test is None else [_arrays("test", *_pair(test))])]
    kind = _kind(kind, parts[0][1])
    kinds = {CLASSIFICATION: (ClassificationSettings, _classification), REGRESSION: (RegressionSettings, _regression)}
    settings_class, make = kinds[kind]
    made = _settings(settings_class, {**settings, "model": "mlp"})
    return make(name, parts, network, (metric, *also_shown), made)


def _classification(
    name: str, parts: list[Arrays], network: Any, metrics: tuple[Any, ...], settings: ClassificationSettings
) -> Task:
    parts, class_names = _numbered(parts)
    shape = parts[0][0].shape[1:]
    stored = _stored_shape(shape)
    if (of_test := parts[-1][0].shape[1:]) != shape:
        raise UserError(f"{name}: inputs of the test set are {list(of_test)}, those of training {list(shape)}")
    sets = [
        labelled_images(inputs.reshape(-1, *stored), labels, f"{name} ({which})") for (inputs, labels), which in _named(parts)
    ]
    source = make_source(name, sets[0], sets[1] if len(sets) > 1 else None, class_names)
    refuse_untrained_classes(source, name)
    scored = scored_by(CLASSIFICATION, metrics, source.num_classes)
    made = own_network(network, source.num_classes, shape, stored, settings.section, "logits")
    return _titled(classification_of(source, made, scored, settings), network)


def _regression(name: str, parts: list[Arrays], network: Any, metrics: tuple[Any, ...], settings: RegressionSettings) -> Task:
    sets = [measured(*part, f"{name} ({which})") for part, which in _named(parts)]
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


def _pair(test: Any) -> Arrays:
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise UserError("test must be (inputs, targets), two arrays")
    return tuple(test)


def _arrays(what: str, inputs: Any, targets: Any) -> Arrays:
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    if inputs.ndim not in (2, 3, 4):
        raise UserError(f"{what} must be an array [M, D], [M, H, W] or [M, H, W, channels], not of shape {list(inputs.shape)}")
    if not targets.ndim or len(inputs) != len(targets) or not len(inputs):
        raise UserError(f"{what}: {len(inputs)} inputs and targets of shape {list(targets.shape)}; one target for each is wanted")
    # Integers of another kind than pixels, such as counts.
    is_count = np.issubdtype(inputs.dtype, np.integer) and inputs.dtype != np.uint8
    return (inputs.astype(np.float32) if is_count or inputs.dtype == bool else inputs), targets


def _kind(kind: str | None, targets: np.ndarray) -> str:
    if kind is None:
        return REGRESSION if np.issubdtype(targets.dtype, np.floating) else CLASSIFICATION
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    return kind


def _settings(kind: type[Settings], given: dict[str, Any]) -> Any:
    known = [field for field in declarations(kind) if field not in _SAID]
    if wrong := [key for key in given if key not in known and key != "model"]:
        raise unknown("argument of make_task", wrong[0], ["test", "kind", "also_shown", "name", *known])
    for key, default in defaults(kind).items():
        if isinstance(default, tuple) and not isinstance(given.get(key, default), tuple | list):
            raise UserError(f"the argument {key} of make_task takes a tuple such as {default}, not {given[key]!r}")
    with named_errors("an argument of make_task"):
        made = kind(**given)
    values = {made.key(name): getattr(made, name) for name in declarations(kind)}
    for name in given:
        for condition in declarations(kind)[name].acts_when:
            if isinstance(condition, When) and condition.other in values and not condition.holds(values[condition.other]):
                other = condition.other.rpartition(".")[2]
                raise UserError(
                    f"the argument {name} of make_task does nothing: give {other} too, which is {getattr(made, other)!r}"
                )
    return made


def _numbered(parts: list[Arrays]) -> tuple[list[Arrays], tuple[str, ...] | None]:
    """Classes that are text or truth values by their numbers, and their names."""
    if np.issubdtype(parts[0][1].dtype, np.integer):
        return parts, None
    names = np.unique(parts[0][1])
    if len(parts) > 1 and (strange := sorted({*map(str, parts[1][1])} - {*map(str, names)})):
        raise UserError(
            f"the class '{strange[0]}' of the test targets is not among those of training: {', '.join(map(str, names))}"
        )
    return [(inputs, np.searchsorted(names, labels)) for inputs, labels in parts], tuple(map(str, names))


def _stored_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """As an image: features lie along the channels."""
    return {1: (1, 1, *shape), 2: (*shape, 1)}.get(len(shape), shape)
