"""A config for a task that a program has made."""

from collections.abc import Mapping
from typing import Any

import ml_collections

from jaxloss.config.check import named_in
from jaxloss.config.loaded import LoadedConfig
from jaxloss.config.overrides import apply_overrides
from jaxloss.config.schema import default_config, keys, read, value_of
from jaxloss.core.abstract import shapes
from jaxloss.core.arguments import expect
from jaxloss.spaces.handcrafted_regression import REGRESSION_FAMILIES
from jaxloss.tasks.base import TRAIN, Task
from jaxloss.tasks.data.stream import resident_arrays
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings

_LOGITS = "logits"
# Of a training with the epochs that are customary here: with few examples they would end before a network has learned anything.
_EPOCHS, _FEWEST_STEPS = 30, 100


def config_for(task: Task, overrides: Mapping[str, Any] | None = None) -> ml_collections.ConfigDict:
    """A config with which a small network of one's own is searched on for minutes, for `run(config, workdir, task=task)`.

    The default space over the branches of the task, 150 trainings with Adam, and the rivals that these branches have: those of a
    softmax where there are logits, those of regression for a prediction and a target, else none. A training has 30 epochs, or as
    many as make 100 steps. What is changed in it later has to act in the run, as with a config that was loaded.

    Args:
      task: see `make_task`; any other will do.
      overrides: dotted key -> value, as of `load_config`: `{"search.num_trainings": 500}`.

    Raises:
      UserError: for a key or a value that is wrong.
    """
    expect("task", task, Task, "a task, see jaxloss.make_task")
    overrides = {} if overrides is None else overrides
    expect("overrides", overrides, Mapping, "a mapping dotted key -> value")
    config = LoadedConfig(default_config())
    of_space = config.space[config.space.name]
    of_space.branches, of_space.branch_weights = tuple(task.offers), (1.0,) * len(task.offers)
    if not all(_LOGITS in names for names in task.offers.values()):
        config.comparison.handcrafted = ("huber", "mse", *sorted({*REGRESSION_FAMILIES} - {"huber"}))
        if any({"prediction", "target"} - {*names} for names in task.offers.values()):
            config.comparison.handcrafted = ()
    config.search.num_trainings = 150
    # Adam does not see the scale of a loss, so neither does the equivalence check.
    config.training.optimiser = "adam"
    config.training.learning_rate = 0.01
    config.training.num_epochs = float(_EPOCHS)
    config.filters.equivalence.scale_free = True
    config.filters.equivalence.significant_digits = 4
    config.filters.equivalence.signed = True
    config.comparison.learning_rate_low = 0.001
    config.comparison.learning_rate_high = 0.1
    # Intervals over two divisions are as wide as the scale.
    config.comparison.num_divisions = 4
    apply_overrides(config, overrides)
    if not named_in("training.num_epochs", overrides):
        steps = Preparation(task, read(config, TrainingSettings)).steps_per_epoch(shapes(resident_arrays(task.data[TRAIN])))
        config.training.num_epochs = float(max(_EPOCHS, -(-_FEWEST_STEPS // steps)))
    config.remember({key: value_of(config, key) for key in keys() if not named_in(key, overrides)})
    return config
