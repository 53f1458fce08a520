"""The operators of CSE-Autoloss, with the constants of its published code."""

import jax
import jax.numpy as jnp

from jaxloss.graphs.operators import python_helpers
from jaxloss.graphs.operators.aggregations import DOT, DOT_OF_SAMPLE, SOFTMAX, SOFTMAX_OF_SAMPLE
from jaxloss.graphs.operators.elementwise import (
    ABS,
    ADD,
    COS,
    MUL,
    NEG,
    RELU,
    SIGMOID,
    SIN,
    SOFTPLUS,
    SQRT,
    TANH,
    algebraic,
    gudermannian,
)
from jaxloss.graphs.operators.operator import Operator, OperatorSet

EPSILON = 1e-20
EXPONENT_LIMIT = 88.0

SUB = Operator("Sub", 2, lambda x, y: x - y, "({0}) - ({1})", r"\left({0} - {1}\right)", "({0}) - ({1})")
DIV = Operator(
    "Div",
    2,
    lambda x, y: x / (y + EPSILON),
    "({0})/(({1}) + epsilon)",
    r"\frac{{{0}}}{{{1} + \epsilon}}",
    "({0}) / (({1}) + 1e-20)",
)
EXP = Operator(
    "Exp",
    1,
    lambda x: jnp.exp(jnp.minimum(x, EXPONENT_LIMIT)),
    "exp(Min({0}, 88))",
    r"e^{{{0}}}",
    "jnp.exp(jnp.minimum({0}, 88.0))",
)
LOG = Operator(
    "Log",
    1,
    lambda x: jnp.log(x + EPSILON),
    "log(({0}) + epsilon)",
    r"\log\left({0} + \epsilon\right)",
    "jnp.log(({0}) + 1e-20)",
)

# The S-curves are rescaled to the range (0, 1) with slope 1/4 at 0, as sigmoid has: the published code does so in output and
# input (the paper mentions only the output).
GD = Operator(
    "Gd",
    1,
    lambda x: ((2 / jnp.pi) * gudermannian(jnp.pi * x / 4) + 1) / 2,
    "(4/pi*atan(tanh(pi*({0})/8)) + 1)/2",
    r"\mathrm{{sgd}}\left({0}\right)",
    "(2 / jnp.pi * _gudermannian(jnp.pi * ({0}) / 4) + 1) / 2",
    helpers=(python_helpers.GUDERMANNIAN,),
)
ALF = Operator(
    "Alf",
    1,
    lambda x: (algebraic(x / 2) + 1) / 2,
    "((({0})/2)/sqrt(1 + (({0})/2)**2) + 1)/2",
    r"\mathrm{{salf}}\left({0}\right)",
    "(_algebraic(({0}) / 2) + 1) / 2",
    helpers=(python_helpers.ALGEBRAIC,),
)
ERF = Operator(
    "Erf",
    1,
    lambda x: (jax.scipy.special.erf(jnp.sqrt(jnp.pi) * x / 4) + 1) / 2,
    "(erf(sqrt(pi)*({0})/4) + 1)/2",
    r"\mathrm{{serf}}\left({0}\right)",
    "(jax.scipy.special.erf(jnp.pi**0.5 * ({0}) / 4) + 1) / 2",
)
ERFC = Operator(
    "Erfc",
    1,
    lambda x: jax.scipy.special.erfc(jnp.sqrt(jnp.pi) * x / 4) / 2,
    "erfc(sqrt(pi)*({0})/4)/2",
    r"\mathrm{{serfc}}\left({0}\right)",
    "jax.scipy.special.erfc(jnp.pi**0.5 * ({0}) / 4) / 2",
)

CSE_AUTOLOSS = OperatorSet(
    "cse_autoloss",
    "CSE-Autoloss (ICLR 2021), Section 3.1, with the constants of the published code",
    (
        *(ADD, SUB, MUL, DIV, DOT, NEG, EXP, LOG, ABS, SQRT, SOFTMAX, SOFTPLUS, SIGMOID, GD, ALF, ERF, ERFC, TANH, RELU),
        *(SIN, COS, DOT_OF_SAMPLE, SOFTMAX_OF_SAMPLE),
    ),
    epsilon=EPSILON,
)
