"""Small rejection problems with known numbers, for tests of the filters."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import LossInputs
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.context import FilterContext
from jaxloss.filters.settings import EquivalenceSettings, FilterSettings, RejectionSettings
from jaxloss.filters.standard import standard_filters
from jaxloss.systems.autoloss_zero.space import autoloss_zero

SPACE = autoloss_zero()
(BRANCH,) = SPACE.branches

# Five samples, three classes; the prediction is wrong everywhere, by little or by much.
START = np.array([[0.5, 0.3, 0.2], [0.2, 0.45, 0.35], [0.3, 0.3, 0.4], [0.6, 0.1, 0.3], [0.05, 0.15, 0.8]], np.float32)
LABELS = np.array([1, 2, 0, 2, 0])


def classification_problem(start=START, labels=LABELS):
    """The predictions themselves are optimised; the metric is whether the largest one is at the label."""
    start = jnp.asarray(start, jnp.float32)[:, None, None, :]
    target = jnp.asarray(np.eye(start.shape[-1], dtype=np.float32)[labels])[:, None, None, :]
    return RejectionProblem(
        start=start,
        context=target,
        inputs=lambda value, target: LossInputs.create({"prediction": value, "target": target}),
        metric=lambda value, target: jnp.mean((jnp.argmax(value, -1) == jnp.argmax(target, -1)).astype(jnp.float32)),
    )


def logits_problem(start=START, labels=LABELS):
    """The logits of the same predictions are optimised."""
    problem = classification_problem(np.log(start), labels)

    def inputs(value, target):
        return LossInputs.create({"logits": value, "target": target})

    return dataclasses.replace(problem, inputs=inputs)


def make_cascade(problem=None, branch=BRANCH, workers=None, num_workers=1, devices=0, **settings):
    """A cascade with the numbers of the paper, but for those of any of the three settings that are given."""
    parts = {"rejection": RejectionSettings, "equivalence": EquivalenceSettings}
    for part, kind in parts.items():
        own = {name: settings.pop(name) for name in list(settings) if name in kind.__dataclass_fields__}
        settings[part] = kind(**own)
    settings = {"width": 8, **settings}
    problem = classification_problem() if problem is None else problem
    threads = {"workers": workers, "num_workers": num_workers}
    context = FilterContext(branch, lambda name: problem, FilterSettings(**settings), **threads, devices=devices)
    return Cascade(branch.name, branch.form, standard_filters(context))


def graph(text):
    """One branch of a candidate of `SPACE`."""
    return SPACE.parse(text)[BRANCH.name]
