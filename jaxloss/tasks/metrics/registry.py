"""Metrics of classification by name, and those from outside the package.

A new metric is a function `(logits [N, C], labels int [N]) -> scalar in [0, 1]`, the higher the better and jittable, and a line
in `METRICS`.
"""

from collections.abc import Callable, Collection, Mapping

import jax
import jax.numpy as jnp

from jaxloss.core.abstract import is_array, outputs, written
from jaxloss.core.errors import UserError
from jaxloss.core.names import import_factory
from jaxloss.core.settings import is_known_or
from jaxloss.core.types import Array
from jaxloss.tasks.metrics.classification import accuracy, macro_f1, mean_class_accuracy, worst_class_accuracy
from jaxloss.tasks.metrics.probability import calibration, macro_auc, macro_average_precision

Metric = Callable[[Array, Array], Array]

ACCURACY = "accuracy"
MEAN_CLASS_ACCURACY = "mean_class_accuracy"
CALIBRATION = "calibration"
WORST_CLASS = "worst_class_accuracy"
METRICS: Mapping[str, Metric] = {
    ACCURACY: accuracy,
    MEAN_CLASS_ACCURACY: mean_class_accuracy,
    "macro_f1": macro_f1,
    "macro_auc": macro_auc,
    "macro_average_precision": macro_average_precision,
    CALIBRATION: calibration,
    WORST_CLASS: worst_class_accuracy,
}
# They do not tell whether a network has learned anything: one that is sure of nothing may be calibrated best, and a trained one
# may still have nothing of its worst class right.
UNTELLING = (CALIBRATION, WORST_CLASS)
# What does: where one class has most of the examples, a network that knows nothing but this class has a high accuracy.
TELLING = MEAN_CLASS_ACCURACY
# What they are called elsewhere.
ALIASES: Mapping[str, str] = {
    "balanced_accuracy": MEAN_CLASS_ACCURACY,
    "f1_macro": "macro_f1",
    "auc": "macro_auc",
    "roc_auc": "macro_auc",
    "average_precision": "macro_average_precision",
    "ece": CALIBRATION,
    "calibration_error": CALIBRATION,
    "expected_calibration_error": CALIBRATION,
}
# Computed beside whatever is asked for: every archive has them, and they cost next to nothing.
ALWAYS = (ACCURACY, MEAN_CLASS_ACCURACY)
_EXAMPLES = 4


def find_metrics(names: tuple[str, ...], num_classes: int) -> dict[str, Metric]:
    """Metrics by the names under which their scores are kept: those in `METRICS`, or the function of `module:function`.

    Args:
      names: each in `METRICS` or `ALIASES`, or `module:function`.
      num_classes: `C`, for looking at those from outside.

    Raises:
      UserError: for a metric that is not there, that does not give a scalar, or that has the name of another one.
    """
    found: dict[str, Metric] = {}
    examples = jax.ShapeDtypeStruct((_EXAMPLES, num_classes), jnp.float32), jax.ShapeDtypeStruct((_EXAMPLES,), jnp.int32)
    for name in dict.fromkeys(ALIASES.get(name, name) for name in names):
        function = METRICS[name] if name in METRICS else import_metric(name, examples, METRICS)
        kept_as = score_name(name)
        if found.get(kept_as, function) is not function or (name not in METRICS and kept_as in METRICS):
            raise UserError(f"the metric '{name}' must not be called '{kept_as}', as another one is: give it another name")
        found[kept_as] = function
    return found


def score_name(name: str) -> str:
    """The name under which the scores of a metric are kept: `recall` for `module:recall`, the one of `METRICS` for an alias."""
    return ALIASES.get(name, name).rpartition(":")[2]


def check_metric(key: str, value: str | tuple[str, ...]) -> None:
    """Refuses a name that no metric has, see `core.settings`."""
    is_known_or([*METRICS, *ALIASES], "module:function")(key, value)


def import_metric(name: str, examples: tuple[jax.ShapeDtypeStruct, ...], registered: Collection[str]) -> Metric:
    """The metric `module:function`.

    Args:
      name: of it.
      examples: shapes of what it is given: what a network gives, and the targets.
      registered: names that could have been in its place.

    Raises:
      UserError: for a metric that is not there, or that does not give a scalar.
    """
    function, what = import_factory("metric", name, registered), f"the metric '{name}'"
    if not callable(function):
        raise UserError(f"{what} must be a function (logits [N, C], labels [N]) -> scalar, not {written(function)}")
    given = outputs(what, function, *examples)
    if not is_array(given) or given.shape or not jnp.issubdtype(given.dtype, jnp.floating):
        raise UserError(f"{what} must give a scalar, float32[], and gives {written(given)}")
    return function
