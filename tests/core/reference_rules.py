"""The rules of the reference: the value of each kind of operator, and its derivative by hand.

A rule is a pair of functions written down from the papers:

    forward(at, x[, y]) -> result
    backward(at, cotangent, result, x[, y]) -> one cotangent per operand, or None where no gradient passes

where `at` knows the mask and the rounding errors, and arrays are those of `reference.py`.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import scipy.special

from tests.core.reference_arithmetic import Rounding, div, exp, log_one_plus_exp, mul

ZERO_EPSILON, CSE_EPSILON = 1e-12, 1e-20
POSITIONS = (-4, -3, -2)
CHANNELS = -1


@dataclasses.dataclass(frozen=True)
class At:
    """Where an operator is evaluated: `mask` is bool `[N, H, W, 1]`."""

    mask: np.ndarray
    rounding: Rounding


@dataclasses.dataclass(frozen=True)
class Rule:
    """One operator.

    Attributes:
      forward, backward: see the module's docstring.
      exact: no rounding happens.
      correctly_rounded: one rounding, as IEEE 754 demands it.
    """

    forward: Callable
    backward: Callable
    exact: bool = False
    correctly_rounded: bool = False


def elementwise(forward: Callable, pull_back: Callable, **kind) -> Rule:
    """A unary function `forward(x)` with `pull_back(cotangent, result, x)`."""
    return Rule(lambda at, x: forward(x), lambda at, g, r, x: (pull_back(g, r, x),), **kind)


def s_curve(curve: Callable, slope: Callable) -> Rule:
    """`curve(at, x)` and `slope(at, cotangent, x)`: these functions cancel in their tails, so they have errors inside."""
    return Rule(curve, lambda at, g, r, x: (slope(at, g, x),))


def rescaled(curve: Callable, slope: Callable, height: float, width: float) -> Rule:
    """(height * curve(width * x) + 1) / 2"""
    return s_curve(
        lambda at, x: (height * curve(at, width * x) + 1) / 2,
        lambda at, g, x: mul(slope(at, mul(g, 0.5, height), width * x), width),
    )


def shifted(x, epsilon: float):
    """x + epsilon, which for epsilon = 0 keeps the sign of a zero."""
    return x + epsilon if epsilon else x


def quotient(epsilon: float) -> Rule:
    """x / (y + epsilon)"""

    def backward(at, g, r, x, y):
        y = shifted(y, epsilon)
        return div(g, y), mul(-g, x, div(1, mul(y, y)))

    return Rule(lambda at, x, y: div(x, shifted(y, epsilon)), backward, correctly_rounded=True)


def inverse(epsilon: float) -> Rule:
    """1 / (x + epsilon)"""

    def pull_back(g, r, x):
        x = shifted(x, epsilon)
        return mul(-g, div(1, mul(x, x)))

    return elementwise(lambda x: div(1, shifted(x, epsilon)), pull_back, correctly_rounded=True)


def logarithm(epsilon: float) -> Rule:
    """log(x + epsilon)"""
    return elementwise(lambda x: np.log(shifted(x, epsilon)), lambda g, r, x: div(g, shifted(x, epsilon)))


def signed_logarithm() -> Rule:
    """sign(x) log(|x| + eps): 0 at 0, and there without slope."""

    def pull_back(g, r, x):
        return mul(div(mul(g, np.sign(x)), np.abs(x) + ZERO_EPSILON), np.sign(x))

    return elementwise(lambda x: np.sign(x) * np.log(np.abs(x) + ZERO_EPSILON), pull_back)


def signed_root() -> Rule:
    """sign(x) sqrt(|x| + eps): 0 at 0, and there without slope."""

    def pull_back(g, r, x):
        root = np.sqrt(np.abs(x) + ZERO_EPSILON)
        return mul(g, np.sign(x), div(0.5, root), np.sign(x))

    return elementwise(lambda x: np.sign(x) * np.sqrt(np.abs(x) + ZERO_EPSILON), pull_back)


def algebraic(at, x):
    """x / sqrt(1 + x^2), the sine of the angle whose tangent is x."""
    return at.rounding(np.where(np.isinf(x), np.sign(x), div(x, np.hypot(x.dtype.type(1), x))), False)


def slope_of_algebraic(at, g, x):
    """(1 + x^2)^(-3/2), as the angle's cosine by 1 + x^2."""
    return div(mul(g, np.cos(at.rounding(np.arctan(x), False))), 1 + mul(x, x))


def gudermannian(at, x):
    """2 atan(tanh(x / 2))"""
    return at.rounding(2 * np.arctan(np.tanh(x / 2)), False)


def slope_of_gudermannian(at, g, x):
    t = at.rounding(np.tanh(x / 2), False)
    inner = div(mul(2, g), 1 + mul(t, t))
    return mul(inner + mul(inner, t), 1 - t, 0.5)


def erf(at, x):
    return at.rounding(scipy.special.erf(x), False)


def slope_of_erf(at, g, x):
    return mul(2 / math.sqrt(math.pi), g, exp(-mul(x, x)))


def slope_of_softplus(g, x):
    """exp(x - log(1 + e^x)); at +infinity the difference counts as 0."""
    limited, result = (np.where(value == np.inf, 0, value) for value in (x, log_one_plus_exp(x)))
    return mul(g, exp(limited - result))


def mean_over_positions() -> Rule:
    def forward(at, x):
        total = at.rounding(np.where(at.mask, x, 0), True).sum(POSITIONS, keepdims=True)
        return np.broadcast_to(div(total, x.dtype.type(max(at.mask.sum(), 1))), x.shape)

    return Rule(forward, lambda at, g, r, x: (forward(at, g),), correctly_rounded=True)


def mean_over_channels() -> Rule:
    def forward(at, x):
        total = at.rounding(x, True, by_channel=True).sum(CHANNELS, keepdims=True)
        return np.broadcast_to(div(total, x.dtype.type(x.shape[CHANNELS])), x.shape)

    return Rule(forward, lambda at, g, r, x: (forward(at, g),), correctly_rounded=True)


def pooling(sign: int) -> Rule:
    """Maximum (`sign=1`) or minimum over the valid part of a 3x3 window; ties share the gradient; a NaN counts as extreme."""

    def windows(mask):
        """Yields, for each of the nine shifts, where it lies in the output and where in the input."""
        height, width = mask.shape[-3], mask.shape[-2]
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                rows = slice(max(i, 0), height + min(i, 0)), slice(max(-i, 0), height + min(-i, 0))
                columns = slice(max(j, 0), width + min(j, 0)), slice(max(-j, 0), width + min(-j, 0))
                yield (..., rows[0], columns[0], slice(None)), (..., rows[1], columns[1], slice(None))

    def forward(at, x):
        signed = np.where(at.mask, sign * x, -np.inf)
        result = np.full_like(x, -np.inf)
        for out, there in windows(at.mask):
            result[out] = np.maximum(result[out], signed[there])
        return sign * result

    def backward(at, g, r, x):
        valid = np.broadcast_to(at.mask, x.shape)
        chosen = [valid[out] & valid[there] & ((x[there] == r[out]) | np.isnan(x[there])) for out, there in windows(at.mask)]
        ties = np.zeros_like(x)
        for (out, _), chosen_here in zip(windows(at.mask), chosen, strict=True):
            ties[out] += chosen_here
        share = div(g, np.maximum(ties, 1))
        gradient = np.zeros_like(x)
        for (out, there), chosen_here in zip(windows(at.mask), chosen, strict=True):
            gradient[there] += np.where(chosen_here, share[out], 0)
        return (gradient,)

    return Rule(forward, backward, exact=True)


def softmax() -> Rule:
    def forward(at, x):
        powers = exp(x - x.max(CHANNELS, keepdims=True))
        return div(powers, powers.sum(CHANNELS, keepdims=True))

    def backward(at, g, r, x):
        product = at.rounding(mul(r, g), True, by_channel=True)
        return (product - mul(r, product.sum(CHANNELS, keepdims=True)),)

    return Rule(forward, backward)
