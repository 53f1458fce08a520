"""What a regression task is made of, as far as the user says it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxloss.core.conditions import unless
from jaxloss.core.draws import FOLLOWS, moved
from jaxloss.core.settings import is_known_or, options, setting
from jaxloss.tasks.division_settings import DivisionSettings
from jaxloss.tasks.metrics.regression import METRICS, R2, check_metric
from jaxloss.tasks.models.registry import MODELS, PRECISIONS
from jaxloss.tasks.regression.source import SOURCES

SECTION = "task.regression"
READS = ("data_dir", "filters.rejection.minimum_gain")
WITH_OUTLIERS = (unless(f"{SECTION}.outlier_share", 0.0),)


def _drawn_seed(settings: "RegressionSettings", seed: int) -> int:
    del settings
    return moved(0, seed)


@dataclasses.dataclass(frozen=True)
class RegressionSettings(DivisionSettings, section=SECTION, reads=READS):
    """Numbers from features or images, with outliers among the training targets on request."""

    source: str = setting("diabetes", f"Where inputs and targets come from: one of {', '.join(SOURCES)}")
    standardise_inputs: bool = setting(
        True, "Whether each feature is brought to mean 0 and deviation 1 by the training split; images stay as they are"
    )
    outlier_share: float = setting(0.0, "Of the training targets, to which an error is added", low=0.0, high=1.0)
    outlier_scale: float = setting(
        5.0,
        "Standard deviation of these errors, in standard deviations of the training targets as they were",
        low=0.0,
        high=1e6,
        acts_when=WITH_OUTLIERS,
    )
    outlier_seed: int = setting(
        FOLLOWS,
        f"Of the outliers, whatever seed says; {FOLLOWS}: it follows from seed, 0 for seed 0; every division draws its own",
        low=FOLLOWS,
        high=2**30,
        acts_when=WITH_OUTLIERS,
        drawn=_drawn_seed,
    )
    model: str = setting(
        "mlp",
        f"The network: one of {', '.join(MODELS)} (all but mlp take images), or module:factory, of a Linen or NNX module",
        check=is_known_or(MODELS, "module:factory"),
    )
    model_options: Mapping[str, Any] = options("Attributes of the network, or arguments of its factory")
    # Parameters, the last layer and the loss are float32 in either case.
    precision: str = setting("float32", "What the network computes in", choices=PRECISIONS)
    metric: str = setting(
        R2,
        f"What the search maximises: one of {', '.join(METRICS)}; the others are shown beside it. inverse_mae is "
        "1 / (1 + mean absolute error), the error in standard deviations of the training targets",
        check=check_metric,
    )
    evaluation_batch: int = setting(
        1000, "The most examples that go through the network at once when it is scored", low=1, high=10**9
    )
