"""Operators that look at one element alone, for sets to choose from, and S-curves to make operators of."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array
from jaxloss.graphs.operators import python_helpers
from jaxloss.graphs.operators.operator import Operator

# --- arithmetic ----------------------------------------------------------------------------------------------------------------

ADD = Operator("Add", 2, lambda x, y: x + y, "({0}) + ({1})", r"\left({0} + {1}\right)", "({0}) + ({1})", commutative=True)
MUL = Operator("Mul", 2, lambda x, y: x * y, "({0})*({1})", r"{0} \cdot {1}", "({0}) * ({1})", commutative=True)
NEG = Operator("Neg", 1, lambda x: -x, "-({0})", r"\left(-{0}\right)", "-({0})")
# Slope 0 at 0, as in PyTorch; that of jnp.abs is 1.
ABS = Operator("Abs", 1, lambda x: x * jnp.sign(x), "Abs({0})", r"\left|{0}\right|", "jnp.abs({0})")
DIV = Operator("Div", 2, lambda x, y: x / y, "({0})/({1})", r"\frac{{{0}}}{{{1}}}", "({0}) / ({1})")
INV = Operator("Inv", 1, lambda x: 1 / x, "1/({0})", r"\frac{{1}}{{{0}}}", "1 / ({0})")
SQUARE = Operator("Square", 1, lambda x: x * x, "({0})**2", r"\left({0}\right)^{{2}}", "({0}) ** 2")
DETACH = Operator(
    "Detach",
    1,
    lax.stop_gradient,
    "Detach({0})",
    r"\mathrm{{de}}\left({0}\right)",
    "jax.lax.stop_gradient({0})",
    passes_gradient=False,
)

# --- functions -----------------------------------------------------------------------------------------------------------------

EXP = Operator("Exp", 1, jnp.exp, "exp({0})", r"e^{{{0}}}", "jnp.exp({0})")
LOG = Operator("Log", 1, jnp.log, "log({0})", r"\log\left({0}\right)", "jnp.log({0})")
SQRT = Operator("Sqrt", 1, jnp.sqrt, "sqrt({0})", r"\sqrt{{{0}}}", "jnp.sqrt({0})")
SIN = Operator("Sin", 1, jnp.sin, "sin({0})", r"\sin\left({0}\right)", "jnp.sin({0})")
COS = Operator("Cos", 1, jnp.cos, "cos({0})", r"\cos\left({0}\right)", "jnp.cos({0})")
ARCSIN = Operator("Arcsin", 1, jnp.arcsin, "asin({0})", r"\arcsin\left({0}\right)", "jnp.arcsin({0})")
ARCCOS = Operator("Arccos", 1, jnp.arccos, "acos({0})", r"\arccos\left({0}\right)", "jnp.arccos({0})")
TANH = Operator("Tanh", 1, jnp.tanh, "tanh({0})", r"\tanh\left({0}\right)", "jnp.tanh({0})")
ERF = Operator("Erf", 1, jax.scipy.special.erf, "erf({0})", r"\mathrm{{erf}}\left({0}\right)", "jax.scipy.special.erf({0})")
ERFC = Operator("Erfc", 1, jax.scipy.special.erfc, "erfc({0})", r"\mathrm{{erfc}}\left({0}\right)", "jax.scipy.special.erfc({0})")
SIGMOID = Operator(
    "Sig",
    1,
    jax.nn.sigmoid,
    "1/(1 + exp(-({0})))",
    r"\sigma\left({0}\right)",
    "_sigmoid({0})",
    helpers=(python_helpers.SIGMOID,),
)
RELU = Operator("Relu", 1, jax.nn.relu, "Max({0}, 0)", r"\left[{0}\right]_{{+}}", "_relu({0})", helpers=(python_helpers.RELU,))
SOFTPLUS = Operator(
    "Softplus",
    1,
    jax.nn.softplus,
    "log(1 + exp({0}))",
    r"\log\left(1 + e^{{{0}}}\right)",
    "jnp.logaddexp({0}, 0)",
)

# --- S-curves ------------------------------------------------------------------------------------------------------------------


def gudermannian(x: Array) -> Array:
    """2 atan(tanh(x / 2)), between -pi/2 and pi/2; any shape."""
    return 2 * jnp.arctan(jnp.tanh(x / 2))


def algebraic(x: Array) -> Array:
    """x / sqrt(1 + x^2), between -1 and 1; any shape.

    Written so that x^2 cannot overflow: the curve would fall back to 0, from 2e19 on in float32.
    """
    return jnp.sin(jnp.arctan(x))
