"""Convergence property verification: is a loss monotone and convergent, by its values and gradients (Section 3.2.2)?

Of classification, on the score of one class: the loss falls as the score of the right class rises, and rises with that of a wrong
one; where the right score is large, the gradient vanishes. Of regression: the loss does not fall while the predicted box moves
away from the true one, grows beyond it or shrinks inside it, and is larger at the end.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.devices import float64_on_cpu
from jaxloss.core.form import Expression, Form
from jaxloss.core.types import Array
from jaxloss.core.verdicts import Reason, Verdict
from jaxloss.filters.base import Cost, Screened
from jaxloss.filters.equivalence import LossMemory
from jaxloss.systems.cse_autoloss.paths import paths_of
from jaxloss.systems.cse_autoloss.settings import CLASSIFICATION, VerificationSettings, kind_of

NOT_COMPUTABLE = Reason(
    "not_computable", "is infinite or not a number on the way of a prediction, or its gradient is", leaves_row=False
)
NOT_FALLING = Reason("not_falling", "does not fall as the score of the right class rises", leaves_row=False)
NOT_RISING = Reason("not_rising", "does not rise with the score of a wrong class", leaves_row=False)
NOT_CONVERGENT = Reason(
    "not_convergent", "has a gradient that does not vanish as the score of the right class grows", leaves_row=False
)
NOT_CONSISTENT = Reason(
    "not_consistent", "does not grow while the predicted box leaves the true one, in place or size", leaves_row=False
)

# Losses in one call; a shorter list is filled up.
_LOSSES_PER_CALL = 128


class PathSampler:
    """Values and slopes of losses along the paths of a branch, in float64, many losses in one call.

    The call runs on the CPU whatever the device: it takes a real branch at every operator, and other devices may lack float64.
    """

    def __init__(self, form: Form, branch: str, settings: VerificationSettings):
        """Args:
        form: of the losses.
        branch: its name.
        settings: of the paths.
        """
        self._form, self._paths = form, paths_of(branch, settings)
        self.signs = self._paths.signs
        self.compilations = 0
        self._compiled = jax.jit(self._sample)

    def __call__(self, expressions: Sequence[Expression]) -> tuple[np.ndarray, np.ndarray]:
        """Values and slopes, each float64 `[M, R, T]`; NaN and infinities where the operators give them."""
        encoded, parts = [self._form.encode(expression) for expression in expressions], []
        with float64_on_cpu():
            for first in range(0, len(encoded), _LOSSES_PER_CALL):
                chosen = encoded[first : first + _LOSSES_PER_CALL]
                filled = chosen + chosen[:1] * (_LOSSES_PER_CALL - len(chosen))
                stacked = jax.tree.map(lambda *rows: np.stack(rows), *filled)
                parts.append([np.asarray(column)[: len(chosen)] for column in self._compiled(stacked, self._paths.points)])
        empty = np.zeros((0, *self._paths.points.shape))
        values, slopes = (np.concatenate([empty, *columns]) for columns in (zip(*parts, strict=True) if parts else ((), ())))
        return values, slopes

    def _sample(self, stacked: Array, points: Array) -> tuple[Array, Array]:
        self.compilations += 1  # counted while tracing: once per compilation

        def of_one(encoded: Array) -> tuple[Array, Array]:
            def along(points: Array) -> Array:
                values = self._form.values(encoded, self._paths.inputs(points))
                return jnp.sum(values, axis=-1).reshape(points.shape)

            values, pull_back = jax.vjp(along, points)
            return values, pull_back(jnp.ones_like(values))[0]

        return jax.lax.map(of_one, stacked)


class VerificationFilter:
    """Stops losses that lack a property; says nothing of the others. See `base.Filter`."""

    name, title, cost, remembers = "convergence", "convergence property verification", Cost.CALL, True

    def __init__(self, form: Form, branch: str, settings: VerificationSettings):
        """See `PathSampler`."""
        self._settings, self._sampler = settings, PathSampler(form, branch, settings)
        self._classifies = kind_of(branch) == CLASSIFICATION
        of_branch = (NOT_FALLING, NOT_RISING, NOT_CONVERGENT) if self._classifies else (NOT_CONSISTENT,)
        self.reasons = (NOT_COMPUTABLE, *of_branch)

    @property
    def compilations(self) -> int:
        """See `base.Filter.compilations`."""
        return self._sampler.compilations

    def check(self, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory) -> list[Screened]:
        """See `base.Filter.check`."""
        del memory
        reasons = [self._lacks(*pair) for pair in zip(*self._sampler(expressions), strict=True)]
        return [
            one if reason is None else Screened(Verdict(reason), one.signature, one.sketch)
            for one, reason in zip(known, reasons, strict=True)
        ]

    def _lacks(self, values: np.ndarray, slopes: np.ndarray) -> Reason | None:
        """The first property that a loss lacks, from its values and slopes `[R, T]`."""
        # Where the boxes are one, a loss of areas has a kink.
        slopes = slopes if self._classifies else slopes[:, 1:]
        if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
            return NOT_COMPUTABLE
        signs, steepest = self._sampler.signs, np.abs(slopes).max(axis=1)
        rise = signs[:, None] * np.diff(values, axis=1)
        extent, tolerance = np.ptp(values, axis=1), self._settings.tolerance
        by_values = (rise >= -tolerance * extent[:, None]).all(axis=1) & (rise.sum(axis=1) > 0)
        by_slopes = (signs[:, None] * slopes >= -tolerance * steepest[:, None]).all(axis=1)
        # What is left of rounding is no rise.
        holds = by_values & by_slopes & (extent > tolerance * np.abs(values).max(axis=1))
        if not self._classifies:
            return None if holds.all() else NOT_CONSISTENT
        falls, rises = holds[::2], holds[1::2]
        if not falls.all():
            return NOT_FALLING
        if not rises.all():
            return NOT_RISING
        left = np.abs(slopes[::2, -1])
        return None if (left <= self._settings.gradient_left * steepest[::2]).all() else NOT_CONVERGENT
