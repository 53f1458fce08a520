"""What a finished loss does, looked at from all sides without a training: the section of the summary that the report draws.

Everything is computed from the loss and from the outputs that the task makes up (`Task.output_samples`), in float64.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from jaxloss.core.abstract import named_errors
from jaxloss.core.devices import float64_on_cpu
from jaxloss.core.family import BranchInputs
from jaxloss.spaces.base import Space
from jaxloss.study.contender import Contender, TuningPoint
from jaxloss.study.diagnosis.axes import PROBABILITY, axes_of
from jaxloss.study.diagnosis.batches import ROUNDING, OnSamples, Scale, batch_inputs, on_samples, scale
from jaxloss.study.diagnosis.poles import poles_of
from jaxloss.study.diagnosis.sweep import Loss, Sweep, sweeps
from jaxloss.symbolic.reading import reading_of
from jaxloss.tasks.base import Task

# Of a number that is only drawn.
_DIGITS = 5
# A point for each sample of a picture would make it heavy.
_MOST_SAMPLES = 400


def diagnose(contender: Contender, point: TuningPoint, task: Task) -> dict[str, Any]:
    """What there is to be said of one loss, as JSON values.

    Args:
      contender: the loss.
      point: with the hyper-parameters that are looked at.
      task: whose outputs are made up.

    Returns:
      `name` and `formula`; `poles`, see `poles.poles_of`; `has_outputs`, whether the task makes up outputs, without which there
      is nothing more; `sweeps`, one for each branch that has an axis, and `without_axis`, the names of the others; `samples`, its
      gradient on the task's samples beside cross-entropy's, or None where the loss is not of one branch over probabilities;
      `scale`, see `batches.Scale`; `looks_across`, or None where it cannot be said.

    Raises:
      UserError: where the space or the task makes a mistake.
    """
    said = {
        "name": contender.label,
        "formula": contender.formula,
        "poles": _poles(contender, point, task),
        "has_outputs": task.output_samples is not None,
        "looks_across": _looks_across(contender),
    }
    if task.output_samples is None:
        return {**said, "sweeps": [], "without_axis": list(task.offers), "samples": None, "scale": _scale_json(Scale())}
    loss = _function(contender, point)
    with named_errors(f"the diagnosis of {contender.label}"), float64_on_cpu():
        samples, inputs = batch_inputs(task.output_samples())
        axes = [axis for axis in axes_of(inputs, task.ranges, task.independent_classes) if axis.branch in task.offers]
        looked_at = [_sweep_json(one, inputs) for one in sweeps(loss, inputs, axes)] if axes else []
        is_comparable = len(task.offers) == len(axes) == 1 and axes[0].kind == PROBABILITY
        compared = _samples_json(on_samples(loss, samples, axes[0])) if is_comparable else None
        sizes = scale(loss, samples, inputs, axes)
    without_axis = [branch for branch in task.offers if branch not in {axis.branch for axis in axes}]
    return {**said, "sweeps": looked_at, "without_axis": without_axis, "samples": compared, "scale": _scale_json(sizes)}


def _function(contender: Contender, point: TuningPoint) -> Loss:
    """The loss with the hyper-parameters of a point, unrolled where it is of a space: quicker than the interpreter, here."""
    family = contender.family
    if isinstance(family, Space):
        return family.compile(family.with_hyperparameters(family.parse(contender.formula), point.hyperparameters))
    encoded = contender.encode(point)
    return lambda inputs: family.loss(encoded, inputs)


def _looks_across(contender: Contender) -> bool | None:
    """What is known without a look; a hand-crafted loss of several branches does not say."""
    if isinstance(contender.family, Space):
        return any(branch.form.looks_across for branch in contender.family.branches)
    return getattr(contender.family, "looks_across", None)


def _poles(contender: Contender, point: TuningPoint, task: Task) -> dict[str, Any] | None:
    if not isinstance(contender.family, Space):
        return None
    space = contender.family
    candidate = space.with_hyperparameters(space.parse(contender.formula), point.hyperparameters)
    return poles_of(reading_of(space, candidate, task.ranges))


def _sweep_json(sweep: Sweep, inputs: BranchInputs) -> dict[str, Any]:
    """A sweep as JSON values; its curves over the inner part of the axis alone, where they are drawn."""
    inner = sweep.axis.inner
    curves = {"x": sweep.axis.grid, "value": sweep.value - sweep.value[len(inner) // 2], "slope": sweep.slope}
    if sweep.axis.kind == PROBABILITY:
        reference = sweep.axis.cross_entropy_by_logits(inputs)
        curves |= {"by_logits": sweep.by_logits, "pull": sweep.pull, "cross_entropy": reference}
    return {
        "branch": sweep.axis.branch,
        "kind": sweep.axis.kind,
        "runaways": [list(one) for one in sweep.runaways],
        "courses": {name: [[_rounded(low), _rounded(high)] for low, high in spans] for name, spans in sweep.courses.items()},
        "largest_by_logits": _rounded(sweep.largest_by_logits),
        "curves": {name: [_rounded(value) for value in values[inner]] for name, values in curves.items()},
    }


def _scale_json(scale: Scale) -> dict[str, float | None]:
    return {name: _rounded(value) for name, value in dataclasses.asdict(scale).items()}


def _samples_json(found: OnSamples) -> dict[str, Any]:
    judged = np.isfinite(found.agreement) & np.isfinite(found.ratio) & (found.ratio > ROUNDING)
    chosen = np.flatnonzero(judged)[:: max(1, int(judged.sum()) // _MOST_SAMPLES)]
    return {
        "number": len(found.right),
        "not_finite": int((~found.finite).sum()),
        "against": _rounded(float((found.agreement[judged] < 0).mean())) if judged.any() else None,
        "right": [_rounded(value) for value in found.right[chosen]],
        "ratio": [_rounded(value) for value in found.ratio[chosen]],
        "agreement": [_rounded(value) for value in found.agreement[chosen]],
    }


def _rounded(value: float) -> float | None:
    """To the digits that matter; None for what is no finite number."""
    value = float(value)
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
