"""The metrics of a task that is made of a user's arrays: names, compiled functions, and functions of the host."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.abstract import is_array, is_number, named_errors, written
from jaxloss.core.errors import UserError
from jaxloss.core.types import Array
from jaxloss.tasks.metrics import registry as classification
from jaxloss.tasks.metrics import regression
from jaxloss.tasks.scored import HostFunction, Scored

# Of the predictions that a function is tried on.
_EXAMPLES = 64


def scored_by(kind: str, metrics: tuple[Any, ...], num_outputs: int) -> Scored:
    """Names and functions as what a task is scored by.

    Args:
      kind: `classification` or `regression`.
      metrics: the first is maximised; each a name, or a function `(predictions, targets) -> number`.
      num_outputs: classes, or targets.

    Raises:
      UserError: for an unknown name, two metrics of one name, and a function that does not give a number.
    """
    is_classification = kind == "classification"
    of_kind, of_other = (classification, regression) if is_classification else (regression, classification)
    compiled: dict[str, Callable[[Array, Array], Array]] = {}
    on_host: dict[str, HostFunction] = {}
    for place, metric in enumerate(metrics):
        if metric in metrics[1:place]:
            raise UserError(f"also_shown has the metric '{metric if isinstance(metric, str) else _name_of(metric)}' twice")
        if isinstance(metric, str):
            if metric in {**of_other.METRICS, **of_other.ALIASES}:
                other = "regression" if is_classification else "classification"
                raise UserError(f"the metric '{metric}' is one of {other}, and these targets make a {kind}: say kind='{other}'")
            of_kind.check_metric("metric", metric)
            if ":" in metric:
                raise UserError(f"metric '{metric}': give the function itself")
            name = of_kind.ALIASES.get(metric, metric)
            compiled[name] = of_kind.METRICS[name]
            continue
        name = _name_of(metric)
        if name in {**compiled, **on_host, **of_kind.METRICS}:
            raise UserError(f"the metric '{name}' must not be called as another one is: give the function another name")
        example = _example(num_outputs, is_classification)
        if _is_traceable(metric, example):
            compiled[name] = _compiled(metric, is_classification)
        else:
            _try_on_host(name, metric, example)
            on_host[name] = _not_below_0(metric)
    first, *others = [of_kind.ALIASES.get(one, one) if isinstance(one, str) else _name_of(one) for one in metrics]
    shown = list(dict.fromkeys([*others, *((classification.ACCURACY,) if is_classification else regression.METRICS)]))
    always = classification.ALWAYS if is_classification else regression.METRICS
    return Scored(
        first,
        tuple(name for name in shown if name != first),
        {**{name: of_kind.METRICS[name] for name in always}, **compiled},
        on_host,
    )


def _name_of(metric: Any) -> str:
    if not callable(metric):
        raise UserError(f"a metric must be a name, or a function (predictions, targets) -> number, not {written(metric)}")
    name = getattr(metric, "__name__", type(metric).__name__)
    return "metric" if name in ("<lambda>", "partial") else name


def _example(num_outputs: int, is_classification: bool) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets as a network might give them, every class among them."""
    random = np.random.default_rng(0)
    values = random.standard_normal((max(_EXAMPLES, 2 * num_outputs), num_outputs)).astype(np.float32)
    if not is_classification:
        return values, (values + random.standard_normal(values.shape)).astype(np.float32)
    return np.asarray(jax.nn.softmax(values)), (np.arange(len(values)) % num_outputs).astype(np.int32)


def _is_traceable(metric: Callable[..., Any], example: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether JAX can compile it; a mistake in it shows where it is tried on the host."""
    try:
        given = jax.eval_shape(lambda *arrays: metric(*arrays), *example)
    except Exception:
        return False
    return is_array(given) and given.shape == () and is_number(given)


def _compiled(metric: Callable[..., Any], is_classification: bool) -> Callable[[Array, Array], Array]:
    def compiled(outputs: Array, targets: Array) -> Array:
        predictions = jax.nn.softmax(outputs) if is_classification else outputs
        return jnp.maximum(jnp.asarray(metric(predictions, targets), jnp.float32), 0.0)

    return compiled


def _not_below_0(metric: Callable[..., Any]) -> HostFunction:
    # NaN stays, and is refused where a task is scored.
    return lambda predictions, targets: np.maximum(float(metric(predictions, targets)), 0.0)


def _try_on_host(name: str, metric: Callable[..., Any], example: tuple[np.ndarray, np.ndarray]) -> None:
    with named_errors(f"the metric '{name}'"):
        given = metric(*example)
    if np.ndim(given) or not np.issubdtype(np.asarray(given).dtype, np.number):
        raise UserError(f"the metric '{name}' must give a number, and gives {written(given)}")
