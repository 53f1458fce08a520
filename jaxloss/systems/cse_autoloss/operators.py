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
from jaxloss.graphs.operators.elementwise import ERF as PLAIN_ERF
from jaxloss.graphs.operators.elementwise import ERFC as PLAIN_ERFC
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

# As the paper's footnote has it: the range of sigmoid, but the slopes of the plain curves.
_OUTPUT_ALONE = (
    Operator(
        "Gd",
        1,
        lambda x: ((2 / jnp.pi) * gudermannian(x) + 1) / 2,
        "(4/pi*atan(tanh(({0})/2)) + 1)/2",
        r"\mathrm{{sgd}}\left({0}\right)",
        "(2 / jnp.pi * _gudermannian({0}) + 1) / 2",
        helpers=(python_helpers.GUDERMANNIAN,),
    ),
    Operator(
        "Alf",
        1,
        lambda x: (algebraic(x) + 1) / 2,
        "(({0})/sqrt(1 + ({0})**2) + 1)/2",
        r"\mathrm{{salf}}\left({0}\right)",
        "(_algebraic({0}) + 1) / 2",
        helpers=(python_helpers.ALGEBRAIC,),
    ),
    Operator(
        "Erf",
        1,
        lambda x: (jax.scipy.special.erf(x) + 1) / 2,
        "(erf({0}) + 1)/2",
        r"\mathrm{{serf}}\left({0}\right)",
        "(jax.scipy.special.erf({0}) + 1) / 2",
    ),
    Operator(
        "Erfc",
        1,
        lambda x: jax.scipy.special.erfc(x) / 2,
        "erfc({0})/2",
        r"\mathrm{{serfc}}\left({0}\right)",
        "jax.scipy.special.erfc({0}) / 2",
    ),
)
# As the paper prints them.
_PLAIN = (
    Operator(
        "Gd",
        1,
        gudermannian,
        "2*atan(tanh(({0})/2))",
        r"\mathrm{{gd}}\left({0}\right)",
        "_gudermannian({0})",
        helpers=(python_helpers.GUDERMANNIAN,),
    ),
    Operator(
        "Alf",
        1,
        algebraic,
        "({0})/sqrt(1 + ({0})**2)",
        r"\mathrm{{alf}}\left({0}\right)",
        "_algebraic({0})",
        helpers=(python_helpers.ALGEBRAIC,),
    ),
    PLAIN_ERF,
    PLAIN_ERFC,
)


def _operator_set(name: str, source: str, curves: tuple[Operator, ...]) -> OperatorSet:
    before = (ADD, SUB, MUL, DIV, DOT, NEG, EXP, LOG, ABS, SQRT, SOFTMAX, SOFTPLUS, SIGMOID)
    return OperatorSet(name, source, (*before, *curves, TANH, RELU, SIN, COS, DOT_OF_SAMPLE, SOFTMAX_OF_SAMPLE), epsilon=EPSILON)


_SOURCE = "CSE-Autoloss (ICLR 2021), Section 3.1, with the constants of the published code"
CSE_AUTOLOSS = _operator_set("cse_autoloss", _SOURCE, (GD, ALF, ERF, ERFC))

# How the S-curves are read.
PUBLISHED, OUTPUT, PLAIN = "published", "output", "plain"
S_CURVES = {
    PUBLISHED: CSE_AUTOLOSS,
    OUTPUT: _operator_set("cse_autoloss_output", f"{_SOURCE}; S-curves rescaled in their output alone", _OUTPUT_ALONE),
    PLAIN: _operator_set("cse_autoloss_plain", f"{_SOURCE}; S-curves as printed", _PLAIN),
}
