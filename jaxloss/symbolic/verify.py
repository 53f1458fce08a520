"""Compares proposals with the loss itself: value and gradient, on sampled inputs, in float64."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import sympy

from jaxloss.core.devices import float64_on_cpu
from jaxloss.core.types import LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.symbolic.domain import REAL, TARGET, ValueRange
from jaxloss.symbolic.evaluate import evaluate
from jaxloss.symbolic.expression import Formula

RELATIVE_TOLERANCE = 1e-6
ABSOLUTE_TOLERANCE = 1e-10
NUM_CLASSES = 10
_SEED = 0
# Each function runs once: the time goes into compiling it.
_QUICK_COMPILATION = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@dataclasses.dataclass(frozen=True)
class Claim:
    """A formula and what it is said to be equal to."""

    formula: Formula
    proposals: tuple[sympy.Expr, ...]


def verify(claims: Sequence[Claim]) -> list[list[bool]]:
    """For each claim, which of its proposals have the same values, gradients, NaN and infinities as the loss.

    All claims are compiled together: one compilation is much cheaper than many. Gradients are those with respect to all inputs
    but targets. Where the loss is finite nowhere, nothing can be compared and every proposal is refused.
    """
    if not claims:
        return []
    with float64_on_cpu():
        samples = [sample_inputs(claim.formula) for claim in claims]
        cotangent = jnp.asarray(np.random.default_rng(_SEED + 1).normal(size=_shape()))

        def everything(samples):
            return [_outcomes(claim, inputs, cotangent) for claim, inputs in zip(claims, samples, strict=True)]

        outcomes = jax.device_get(jax.jit(everything, compiler_options=_QUICK_COMPILATION)(samples))
    return [
        [_agree(reference, outcome, np.asarray(inputs.mask)) for outcome in rest]
        for (reference, *rest), inputs in zip(outcomes, samples, strict=True)
    ]


def _outcomes(claim: Claim, inputs: LossInputs, cotangent):
    """(value, gradients) of the loss and of each proposal; None for a proposal that JAX cannot compute."""
    if not claim.proposals:
        return [None]
    formula = claim.formula
    fixed = {name: array for name, array in inputs.arrays.items() if name == TARGET}
    free = {name: array for name, array in inputs.arrays.items() if name not in fixed}

    def outcome(loss):
        def values(free):
            computed = loss(dataclasses.replace(inputs, arrays={**fixed, **free}))
            # Void positions hold anything; they are no part of the comparison.
            return jnp.where(inputs.mask, jnp.broadcast_to(computed, cotangent.shape), 0)

        value, pull_back = jax.vjp(values, free)
        return value, pull_back(cotangent)[0]

    outcomes = [outcome(compile_graph(formula.graph, formula.operators))]
    # Several methods may have proposed the same.
    of_proposal = {}
    for proposal in dict.fromkeys(claim.proposals):
        try:
            of_proposal[proposal] = outcome(lambda inputs, proposal=proposal: evaluate(proposal, inputs, formula.epsilon))
        except (NotImplementedError, TypeError, ValueError, OverflowError):
            of_proposal[proposal] = None
    return [*outcomes, *(of_proposal[proposal] for proposal in claim.proposals)]


def _agree(reference, outcome, mask: np.ndarray) -> bool:
    if outcome is None:
        return False
    for wanted, found in zip(jax.tree.leaves(reference), jax.tree.leaves(outcome), strict=True):
        if not np.any(np.isfinite(wanted) & mask):
            return False
        if not np.allclose(found, wanted, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True):
            return False
    return True


def _shape() -> tuple[int, int, int, int]:
    height, width = np.random.default_rng(_SEED).integers(2, 6, size=2)
    return 6, int(height), int(width), NUM_CLASSES


def sample_inputs(formula: Formula) -> LossInputs:
    """Inputs in their ranges, with a mask that has holes: float64 `[N, H, W, C]`, or `[N, H, W, 1]` for one value per sample."""
    generator = np.random.default_rng(_SEED)
    shape = _shape()
    arrays = {}
    for name, span in formula.input_ranges.items():
        channels = 1 if name in formula.per_sample_inputs else shape[-1]
        arrays[name] = jnp.asarray(_sample(generator, (*shape[:-1], channels), span, reach_ends=name == TARGET))
    mask = generator.random((*shape[:-1], 1)) < 0.9
    return LossInputs.create(arrays, mask=jnp.asarray(mask))


def _sample(generator: np.random.Generator, shape, span: ValueRange, reach_ends: bool) -> np.ndarray:
    """Half of the numbers are spread over the range; the others are near its ends, near 0, or large where it has no end.

    Args:
      generator: of the numbers.
      shape: of the result.
      span: (low, high).
      reach_ends: whether finite ends, and 0, are drawn themselves too; between two finite ends half of the batch is one-hot.
    """
    low, high = span
    bounded = np.isfinite(low) and np.isfinite(high)
    if bounded:
        spread = generator.uniform(low, high, size=shape)
    elif span == REAL:
        spread = generator.normal(scale=3, size=shape)
    else:
        distance = generator.gamma(2.0, size=shape)
        spread = low + distance if np.isfinite(low) else high - distance
    # Softmax comes close to its ends. Beside large numbers, smaller ones would drown in epsilon.
    near = (high - low if bounded else 1.0) * 10.0 ** -generator.uniform(1, 5 if bounded else 3, size=shape)
    large = 10.0 ** generator.uniform(0.5, 1.5, size=shape)
    others = [
        low + near if np.isfinite(low) else min(high, 0.0) - large,
        high - near if np.isfinite(high) else max(low, 0.0) + large,
    ]
    if low < 0 < high:
        others.append(generator.choice([-1.0, 1.0], size=shape) * np.minimum(near, min(-low, high) / 2))
    if reach_ends:
        others += [np.full(shape, x) for x in (low, high, 0.0) if np.isfinite(x) and low <= x <= high]
    values = np.where(generator.random(shape) < 0.5, spread, np.choose(generator.integers(len(others), size=shape), others))
    if reach_ends and bounded:
        values[::2] = (low + (high - low) * _one_hot(generator, shape))[::2]
    return values


def _one_hot(generator: np.random.Generator, shape) -> np.ndarray:
    if shape[-1] == 1:
        return generator.integers(0, 2, size=shape).astype(float)
    return np.eye(shape[-1])[generator.integers(0, shape[-1], size=shape[:-1])]
