"""Outputs for small images, made up, with objects of all levels and background: what losses of detection are told apart by."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.types import Array, LossInputs
from jaxloss.tasks.data.boxes.source import BOXES, CROWD, LABELS, VALID
from jaxloss.tasks.detection.inputs import CLASSIFICATION, REGRESSION, BoxInputs
from jaxloss.tasks.detection.locations import Locations

NUM_IMAGES, NUM_BOXES = 2, 4
# How far the logarithms of distances are from the true ones, batch by batch, and how sure the classes are.
SPREADS = (0.02, 0.2, 0.6, 1.2, 0.4, 0.4)
SURENESS = (5.0, 3.0, 1.0, 0.1, -1.0, -4.0)
_SEED = 0


def box_samples(inputs: BoxInputs, strides: Sequence[int]) -> OutputSamples:
    """Batches of small images; the same at every call.

    From outputs of a network that is sure and right, with boxes that nearly fit, to those of an untrained one and of one that is
    sure and wrong. One object of each image is a crowd.

    Args:
      inputs: of losses.
      strides: of the levels of the network.
    """
    side = 2 * strides[-1]
    small = dataclasses.replace(inputs, locations=Locations.create((side, side), strides))
    random, shape = np.random.default_rng(_SEED), (len(SPREADS), NUM_IMAGES)
    centres, sizes = random.uniform(0.2, 0.8, (*shape, NUM_BOXES, 2)), random.uniform(0.1, 0.6, (*shape, NUM_BOXES, 2))
    boxes = side * np.clip(np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1), 0, 1)
    # One that lies on a location of the coarsest level, whatever else is drawn.
    boxes[..., 0, :] = side * np.array([0.05, 0.1, 0.7, 0.6])
    # The crowd, in a corner.
    boxes[..., -1, :] = side * np.array([0.7, 0.7, 1.0, 1.0])
    context = {
        BOXES: boxes.astype(np.float32),
        LABELS: random.integers(inputs.num_classes, size=(*shape, NUM_BOXES)).astype(np.int32),
        VALID: np.ones((*shape, NUM_BOXES), bool),
        CROWD: np.broadcast_to(np.arange(NUM_BOXES) == NUM_BOXES - 1, (*shape, NUM_BOXES)).copy(),
    }
    targets = jax.device_get(jax.jit(jax.vmap(small.targets))(context))
    of_batch = (-1, 1, 1, 1)
    wrong_way = np.exp(random.normal(size=targets.distances.shape) * np.reshape(SPREADS, of_batch))
    labels = np.asarray(small.one_hot(targets.assigned.labels))[..., 0, :]
    logits = np.reshape(SURENESS, of_batch) * (2.0 * labels - 1) + random.normal(size=labels.shape)
    outputs = {
        "logits": logits.astype(np.float32),
        "distances": (targets.distances * wrong_way).astype(np.float32),
    }

    def inputs_of(outputs: Mapping[str, Array], context: Mapping[str, Array]) -> dict[str, LossInputs]:
        targets = small.targets(context)
        targets = dataclasses.replace(targets, distances=targets.distances.astype(outputs["distances"].dtype))
        return {
            CLASSIFICATION: small.classification(outputs["logits"], outputs["distances"], targets),
            REGRESSION: small.regression(outputs["distances"], targets),
        }

    return OutputSamples(outputs, context, inputs_of)
