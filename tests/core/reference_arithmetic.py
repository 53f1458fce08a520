"""Arithmetic of the reference, without denormal numbers, and with random rounding errors.

Overflow and underflow are part of what two implementations must agree on, so products are formed in the order in which the
textbook derivative is usually written, and denormal numbers are zero, as on XLA's CPU.
"""

import numpy as np


def flush(x):
    """Denormal numbers to zero of the same sign."""
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x)


def mul(*factors):
    product = factors[0]
    for factor in factors[1:]:
        product = flush(product * factor)
    return product


def div(x, y):
    return flush(np.asarray(x / y))


def exp(x):
    return flush(np.exp(x))


def sigmoid(x):
    return div(1, 1 + exp(-x))


def log_one_plus_exp(x):
    return np.where(np.isnan(x), x, np.maximum(x, 0) + np.log1p(exp(-np.abs(x))))


class Rounding:
    """Random rounding errors, none in run 0. Runs come in pairs with opposite errors, so that a residue shows both its signs."""

    def __init__(self, seed: int, pairs: int, ulps: float):
        self.random = np.random.default_rng(seed)
        self.runs, self.ulps = 1 + 2 * pairs, ulps

    def __call__(self, x: np.ndarray, correctly_rounded: bool, by_channel: bool = False) -> np.ndarray:
        """Adds the errors of one operation, `[R, N, H, W, C]` to the same shape. Equal numbers in run 0 get equal errors.

        Args:
          x: exact results.
          correctly_rounded: an operation of IEEE 754, which is exact where the result is a short number: 1 + 1 is 2.
          by_channel: equal numbers get equal errors only within a channel: the terms of a sum, whose order matters.
        """
        channels = x.shape[-1] if by_channel else 1
        salt = self.random.integers(1, 2**63, (self.runs // 2, 1, 1, 1, channels), np.uint64)
        with np.errstate(over="ignore"):
            bits = ((x[:1] + 0).astype(np.float64).view(np.uint64) ^ salt) * np.uint64(0x9E3779B97F4A7C15)
            bits = (bits ^ (bits >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        # Either sign, and at least half as large as may be: small errors in all runs by chance would feign certainty. One in
        # sixteen is none at all, as where a curve has saturated.
        uniform = (bits >> np.uint64(11)) / 2.0**52 - 1
        error = np.where(bits % 16 == 0, 0, (uniform + np.sign(uniform)) / 2 * self.ulps * np.finfo(x.dtype).eps)
        error = np.concatenate([np.zeros_like(error, shape=(1, *x.shape[1:])), error, -error]).astype(x.dtype)
        if correctly_rounded:
            short = 2 ** (np.finfo(x.dtype).nmant // 2)
            mantissa = np.frexp(x)[0] * short
            error = np.where(mantissa == np.rint(mantissa), 0, error)
        return flush(x * (1 + error))
