"""The small training that tests of trainings share."""

import numpy as np

from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.settings import TrainingSettings

TASK = make_fast(FastSettings(size=40))
SPACE = autoloss_zero()
SETTINGS = TrainingSettings(batch_size=10, num_epochs=5)
NUM_STEPS = 20


def kernel(outcome):
    return np.asarray(outcome.end.variables["params"]["kernel"])
