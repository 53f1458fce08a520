"""The operators of every set, each by its rule."""

import math
from collections.abc import Mapping

import numpy as np
import scipy.special

from tests.core.reference_arithmetic import div, exp, flush, log_one_plus_exp, mul, sigmoid
from tests.core.reference_rules import (
    CHANNELS,
    CSE_EPSILON,
    ZERO_EPSILON,
    Rule,
    algebraic,
    elementwise,
    erf,
    gudermannian,
    inverse,
    logarithm,
    mean_over_channels,
    mean_over_positions,
    pooling,
    quotient,
    rescaled,
    s_curve,
    signed_logarithm,
    signed_root,
    slope_of_algebraic,
    slope_of_erf,
    slope_of_gudermannian,
    slope_of_softplus,
    softmax,
)

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
