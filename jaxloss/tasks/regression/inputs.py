"""What losses see of a regression, on the way through a training and in made-up outputs."""

import numpy as np

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import Array, LossInputs, PyTree

BRANCH = "regression"
OFFERS = {BRANCH: ("prediction", "target")}
_STANDARDISED = "less the mean of the training targets, divided by their standard deviation"
MEANINGS = {BRANCH: {"prediction": f"predicted values, {_STANDARDISED}", "target": f"true values, {_STANDARDISED}"}}

_NUM_SAMPLES, _SEED = 16, 0
# Batch by batch, by how much predictions are off: hardly, as in the middle of a training, untrained, and with outliers.
ERRORS = (0.01, 0.1, 0.5, 1.0, 3.0)


def inputs_of(predictions: Array, targets: Array) -> dict[str, LossInputs]:
    """Of predictions and targets `[N, K]`: both `[N, 1, 1, K]`."""
    arrays = {"prediction": predictions[:, None, None, :], "target": targets[:, None, None, :]}
    return {BRANCH: LossInputs.create(arrays)}


def output_samples(num_targets: int) -> OutputSamples:
    """Predictions and targets, made up, by which losses are told apart; the same at every call.

    Args:
      num_targets: `K`.
    """
    random = np.random.default_rng(_SEED)
    shape = (len(ERRORS), _NUM_SAMPLES, num_targets)
    targets = random.standard_normal(shape)
    errors = np.reshape(ERRORS, (-1, 1, 1)) * random.standard_normal(shape)
    # Few of the last batch are far off, and the rest is nearly right.
    errors[-1, 3:] *= 0.03

    def inputs(predictions: Array, context: PyTree) -> dict[str, LossInputs]:
        return inputs_of(predictions, context["target"])

    return OutputSamples((targets + errors).astype(np.float32), {"target": targets.astype(np.float32)}, inputs)
