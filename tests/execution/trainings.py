"""Small trainings, and the executions that carry them out."""

import flax.linen as nn
import jax
import pytest

from jaxloss.execution.base import Trial
from jaxloss.execution.data_parallel import DataParallelExecution
from jaxloss.execution.population import PopulationExecution
from jaxloss.execution.serial import SerialExecution
from jaxloss.spaces.families import family
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.fast import FastSettings, make_fast
from jaxloss.tasks.models.convolution import convolution
from jaxloss.tasks.settings import TrainingSettings

TASK = make_fast(FastSettings(size=40))
SPACE = autoloss_zero()
FOCAL = family("focal")
SETTINGS = TrainingSettings(batch_size=10, num_epochs=5)
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
# Finite at first; the prediction grows until its exponential overflows.
EXPLODES = "Mul(target, Neg(Exp(Exp(Mul(prediction, 5)))))"
NAN_AT_ONCE = "Exp(Exp(Exp(Exp(Exp(Exp(Add(prediction, target)))))))"
TEXTS = (
    CROSS_ENTROPY,
    EXPLODES,
    "Square(Add(prediction, Neg(target)))",
    NAN_AT_ONCE,
    "Neg(Log(Mul(target, Mean_nhw(prediction))))",
)

needs_devices = pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")


class NormalisedCNN(nn.Module):
    """Two native convolutions with BatchNorm: all of a network of images that an execution may do wrong, compiled in seconds."""

    num_classes: int

    @nn.compact
    def __call__(self, images, train):
        hidden = images
        for features in (2, 4):
            hidden = convolution(features, stride=2, implementation="native")(hidden)
            hidden = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(hidden))
        return nn.Dense(self.num_classes)(hidden.mean(axis=(1, 2)))


def trial(text, rate=0.2, start=0, division=0, evaluate_on=SEARCH_EVAL, num_steps=None):
    return Trial(SPACE, SPACE.encode(SPACE.parse(text)), rate, start, division, evaluate_on, num_steps, keep_end=True)


def outcomes(execution, trials):
    try:
        return [outcome for outcome, _ in execution.run(trials)]
    finally:
        execution.close()


def make(mode, task=TASK, settings=SETTINGS, lanes=3, **options):
    """An execution; on two devices where there are several."""
    if mode == "serial":
        return SerialExecution(task, settings, **options)
    if mode == "data_parallel":
        return DataParallelExecution(task, settings, num_devices=2, **options)
    return PopulationExecution(task, settings, lanes, num_devices=2 if mode == "pmap" else 1, **options)
