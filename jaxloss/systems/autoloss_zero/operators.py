"""The operators of AutoLoss-Zero: defined for every real number, with an epsilon where the plain function has a pole."""

import jax.numpy as jnp

from jaxloss.graphs.operators.aggregations import MAX_POOLING, MEAN_C, MEAN_NHW, MIN_POOLING
from jaxloss.graphs.operators.elementwise import ABS, ADD, EXP, MUL, NEG, SQUARE, TANH
from jaxloss.graphs.operators.operator import Operator, OperatorSet

EPSILON = 1e-12

_LOG = '''
def _log(x):
    """Logarithm of |x| with the sign of x, finite at 0."""
    return jnp.sign(x) * jnp.log(jnp.abs(x) + 1e-12)
'''

_SQRT = '''
def _sqrt(x):
    """Square root of |x| with the sign of x, its slope finite at 0."""
    return jnp.sign(x) * jnp.sqrt(jnp.abs(x) + 1e-12)
'''

INV = Operator(
    "Inv",
    1,
    lambda x: 1 / (x + EPSILON),
    "1/(({0}) + epsilon)",
    r"\frac{{1}}{{{0} + \epsilon}}",
    "1 / (({0}) + 1e-12)",
)
LOG = Operator(
    "Log",
    1,
    lambda x: jnp.sign(x) * jnp.log(jnp.abs(x) + EPSILON),
    "sign({0})*log(Abs({0}) + epsilon)",
    r"\mathrm{{sign}}\left({0}\right) \log\left(\left|{0}\right| + \epsilon\right)",
    "_log({0})",
    helpers=(_LOG,),
)
SQRT = Operator(
    "Sqrt",
    1,
    lambda x: jnp.sign(x) * jnp.sqrt(jnp.abs(x) + EPSILON),
    "sign({0})*sqrt(Abs({0}) + epsilon)",
    r"\mathrm{{sign}}\left({0}\right) \sqrt{{\left|{0}\right| + \epsilon}}",
    "_sqrt({0})",
    helpers=(_SQRT,),
)

AUTOLOSS_ZERO = OperatorSet(
    "autoloss_zero",
    "AutoLoss-Zero (CVPR 2022), Table 1",
    (ADD, MUL, NEG, ABS, INV, LOG, EXP, TANH, SQUARE, SQRT, MEAN_NHW, MEAN_C, MAX_POOLING, MIN_POOLING),
    epsilon=EPSILON,
)
