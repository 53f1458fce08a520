"""An independent reference in NumPy: the value and the gradient of a graph, with hand-written derivatives.

Nothing here uses JAX or the operator registry. Each operator is a pair of functions written down from the papers:

    forward(at, x[, y]) -> result
    backward(at, cotangent, result, x[, y]) -> one cotangent per operand, or None where no gradient passes

where `at` knows the mask and the rounding errors.

**Arrays** are `[R, N, H, W, C]`, or `[R, N, H, W, 1]` for one value per sample; `R` are runs that differ in their rounding
errors only. Void positions hold NaN throughout, which proves that nothing from there reaches a valid position.

**Floating point.** Overflow and underflow are part of what two implementations must agree on, so products are formed in the
order in which the textbook derivative is usually written, and denormal numbers are zero, as on XLA's CPU.

**Tolerance by stochastic arithmetic.** Run 0 is plain. In the other runs every result and every cotangent gets a random relative
error of a few units in the last place. How far the runs spread shows how well conditioned an element is; where they disagree
about NaN or infinity (the logarithm of a rounding residue, say), or about half of the value, no correct answer exists. Equal
numbers get equal errors, so that ties stay ties.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import scipy.special

from jaxloss.graphs.graph import Graph

ZERO_EPSILON, CSE_EPSILON = 1e-12, 1e-20
POSITIONS = (-4, -3, -2)
CHANNELS = -1


# --- arithmetic without denormal numbers -------------------------------------------------------------------------------------


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


# --- operators ---------------------------------------------------------------------------------------------------------------


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


ADD = Rule(lambda at, x, y: x + y, lambda at, g, r, x, y: (g, g), correctly_rounded=True)
SUBTRACT = Rule(lambda at, x, y: x - y, lambda at, g, r, x, y: (g, -g), correctly_rounded=True)
MULTIPLY = Rule(lambda at, x, y: mul(x, y), lambda at, g, r, x, y: (mul(g, y), mul(g, x)), correctly_rounded=True)
# One value per sample: the product is summed over the channels.
DOT = Rule(lambda at, x, y: at.rounding(mul(x, y), True, by_channel=True).sum(CHANNELS, keepdims=True), MULTIPLY.backward)

COMMON: Mapping[str, Rule] = {
    "Add": ADD,
    "Mul": MULTIPLY,
    "Neg": elementwise(lambda x: -x, lambda g, r, x: -g, exact=True),
    "Abs": elementwise(np.abs, lambda g, r, x: mul(g, np.sign(x)), exact=True),
    "Exp": elementwise(exp, lambda g, r, x: mul(g, r)),
    "Tanh": elementwise(np.tanh, lambda g, r, x: mul(g + mul(g, r), 1 - r)),
    "Sig": elementwise(sigmoid, lambda g, r, x: mul(g, mul(r, 1 - r))),
    "Sin": elementwise(np.sin, lambda g, r, x: mul(g, np.cos(x))),
    "Cos": elementwise(np.cos, lambda g, r, x: -mul(g, np.sin(x))),
    "Relu": elementwise(lambda x: np.maximum(x, 0), lambda g, r, x: np.where(x > 0, g, 0), exact=True),
    "Softplus": elementwise(log_one_plus_exp, lambda g, r, x: slope_of_softplus(g, x)),
    "Square": elementwise(lambda x: mul(x, x), lambda g, r, x: mul(g, x) + mul(g, x), correctly_rounded=True),
    "Sqrt": elementwise(np.sqrt, lambda g, r, x: mul(g, div(0.5, r)), correctly_rounded=True),
}


def _common(*names: str) -> dict[str, Rule]:
    return {name: COMMON[name] for name in names}


RULES: Mapping[str, Mapping[str, Rule]] = {
    "autoloss_zero": {
        **_common("Add", "Mul", "Neg", "Abs", "Exp", "Tanh", "Square"),
        "Inv": inverse(ZERO_EPSILON),
        "Log": signed_logarithm(),
        "Sqrt": signed_root(),
        "Mean_nhw": mean_over_positions(),
        "Mean_c": mean_over_channels(),
        "MaxPool3x3": pooling(1),
        "MinPool3x3": pooling(-1),
    },
    "autoloss_gms": {
        **COMMON,
        "Minus": SUBTRACT,
        "Div": quotient(0),
        "Inv": inverse(0),
        "Log": logarithm(0),
        "Arcsin": elementwise(np.arcsin, lambda g, r, x: mul(g, div(1, np.sqrt(1 - mul(x, x))))),
        "Arccos": elementwise(np.arccos, lambda g, r, x: mul(g, -div(1, np.sqrt(1 - mul(x, x))))),
        "Gd": s_curve(gudermannian, slope_of_gudermannian),
        "Alf": s_curve(algebraic, slope_of_algebraic),
        "Erf": s_curve(erf, slope_of_erf),
        "Erfc": elementwise(lambda x: flush(scipy.special.erfc(x)), lambda g, r, x: -slope_of_erf(None, g, x)),
        "Detach": elementwise(lambda x: x, lambda g, r, x: None, exact=True),
    },
    "cse_autoloss": {
        **_common("Add", "Mul", "Neg", "Abs", "Sqrt", "Softplus", "Sig", "Tanh", "Relu", "Sin", "Cos"),
        "Sub": SUBTRACT,
        "Div": quotient(CSE_EPSILON),
        "Dot": DOT,
        # The exponent stops at 88, where the slope is halved between the two sides.
        "Exp": elementwise(
            lambda x: exp(np.minimum(x, 88)),
            lambda g, r, x: mul(mul(g, r), np.where(x < 88, 1, np.where(x == 88, 0.5, 0)).astype(x.dtype)),
        ),
        "Log": logarithm(CSE_EPSILON),
        "Softmax": softmax(),
        "Gd": rescaled(gudermannian, slope_of_gudermannian, 2 / math.pi, math.pi / 4),
        "Alf": rescaled(algebraic, slope_of_algebraic, 1, 1 / 2),
        "Erf": rescaled(erf, slope_of_erf, 1, math.sqrt(math.pi) / 4),
        "Erfc": elementwise(
            lambda x: div(flush(scipy.special.erfc(x * (math.sqrt(math.pi) / 4))), 2),
            lambda g, r, x: -mul(slope_of_erf(None, mul(g, 0.5), x * (math.sqrt(math.pi) / 4)), math.sqrt(math.pi) / 4),
        ),
    },
}


# --- evaluation --------------------------------------------------------------------------------------------------------------


def evaluate(
    graph: Graph,
    operators: str,
    arrays: Mapping[str, np.ndarray],
    mask: np.ndarray,
    cotangent: np.ndarray,
    *,
    spread: bool = False,
    rounding: Rounding | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The unreduced loss and the gradient of `sum(cotangent * loss)` over the valid positions.

    Args:
      graph: computed as it stands, equal sub-expressions as often as they occur.
      operators: name of the operator set.
      arrays: name -> float `[N, H, W, C]` or, for one value per sample, `[N, H, W, 1]`.
      mask: bool `[N, H, W, 1]`.
      cotangent: float `[N, H, W, 1]`.
      spread: a value per sample is held C times, and its cotangent in C shares that add up, as the interpreter does. The two
        forms differ where a slope is infinite: 0 * inf + 1 * inf is NaN, (0 + 1) * inf is not.
      rounding: random errors, or None for one plain run.

    Returns:
      loss `[R, N, H, W, C]` (one value per sample is spread evenly over C) and the gradients by name, `[R, N, H, W, .]`.
    """
    rounding = rounding or Rounding(0, 0, 0)
    at = At(mask, rounding)
    dtype = cotangent.dtype
    channels = max(array.shape[-1] for array in arrays.values())
    positions = cotangent.shape
    per_sample: list[bool] = []
    values: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if node.is_operator:
                rule = _rule(operators, node.name, all(per_sample[i] for i in node.operands))
                sample = rule is DOT or all(per_sample[i] for i in node.operands)
                value = rule.forward(at, *(values[i] for i in node.operands))
                if not rule.exact:
                    value = rounding(value, rule.correctly_rounded)
            else:
                value = np.full(positions, node.value, dtype) if node.is_constant else np.where(mask, arrays[node.name], np.nan)
                value = np.broadcast_to(flush(value.astype(dtype)), (rounding.runs, *value.shape))
                sample = node.is_constant or (arrays[node.name].shape[-1] == 1 and channels > 1)
            if sample and spread:
                value = np.broadcast_to(value[..., :1], (*value.shape[:-1], channels))
            per_sample.append(sample)
            values.append(value)

        share = channels if per_sample[-1] else 1
        loss = np.broadcast_to(values[-1] / dtype.type(share), (rounding.runs, *positions[:-1], channels))
        cotangents: list[np.ndarray | None] = [None] * len(graph.nodes)
        incoming = np.broadcast_to(np.where(mask, cotangent, 0), (rounding.runs, *positions[:-1], channels)) / dtype.type(share)
        cotangents[-1] = _fit(incoming, values[-1])
        for index in reversed(range(len(graph.nodes))):
            node, incoming = graph.nodes[index], cotangents[index]
            if not node.is_operator or incoming is None:
                continue
            rule = _rule(operators, node.name, all(per_sample[i] for i in node.operands))
            if rule is DOT and spread:
                incoming = incoming.sum(CHANNELS, keepdims=True)
            operands = [values[i] for i in node.operands]
            # The interpreter computes the result again for its slope: the same number, not the same rounding errors.
            result = values[index] if rule.exact else rounding(rule.forward(at, *operands), rule.correctly_rounded)
            results = rule.backward(at, incoming, result, *operands)
            for operand, passed in zip(node.operands, results, strict=True):
                if passed is not None:
                    passed = _fit(passed if rule.exact else rounding(flush(passed), rule.correctly_rounded), values[operand])
                    cotangents[operand] = passed if cotangents[operand] is None else flush(cotangents[operand] + passed)
        gradients = {name: np.zeros((rounding.runs, *array.shape), dtype) for name, array in arrays.items()}
        for node, incoming in zip(graph.nodes, cotangents, strict=True):
            if node.is_input and incoming is not None:
                gradients[node.name] = gradients[node.name] + _fit(np.where(mask, incoming, 0), gradients[node.name])
    return loss, gradients


def _rule(operators: str, name: str, on_samples: bool) -> Rule:
    """Over the single channel of a value per sample, Dot is a product and Softmax is 1 (which x - x + 1 is, NaN included)."""
    if operators == "cse_autoloss" and on_samples:
        if name == "Dot":
            return MULTIPLY
        if name == "Softmax":
            return elementwise(lambda x: x - x + 1, lambda g, r, x: g - g, correctly_rounded=True)
    return RULES[operators][name]


def _fit(cotangent: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Sums a cotangent over the channels where the value was broadcast, or repeats it where the rule kept one channel."""
    if value.shape[-1] == 1 and cotangent.shape[-1] > 1:
        return cotangent.sum(CHANNELS, keepdims=True)
    return np.broadcast_to(cotangent, (cotangent.shape[0], *value.shape[1:]))
