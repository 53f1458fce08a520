"""The operator registry: every primitive of the papers, once.

The same name means different things in different papers (Log is `sign(x) log(|x| + eps)` in AutoLoss-Zero, `log(x)` in
AutoLoss-GMS and `log(x + 1e-20)` in CSE-Autoloss), so an operator always belongs to a named `OperatorSet`.

SymPy and LaTeX forms are templates (`{0}`, `{1}` stand for the operands), so that this file needs neither library.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.errors import unknown
from jaxloss.core.types import Array
from jaxloss.graphs.operators.aggregations import (
    Neighbourhood,
    dot,
    max_pooling,
    max_pooling_pull_back,
    mean_c,
    mean_nhw,
    min_pooling,
    min_pooling_pull_back,
    softmax,
)


@dataclasses.dataclass(frozen=True)
class Operator:
    """One primitive.

    Attributes:
      name: as written in formulas.
      arity: number of operands, 1 or 2.
      function: `(x)`, `(x, y)`, or with a trailing `Neighbourhood` when `aggregates`; keeps `[N, H, W, C]`, or returns
        `[N, H, W, 1]` when `yields_sample`.
      sympy: SymPy expression as a template.
      latex: LaTeX as a template.
      commutative: `f(x, y) == f(y, x)` to the bit.
      aggregates: looks at other positions or channels.
      passes_gradient: False for Detach.
      yields_sample: the result is one value per sample, whatever the operands (Dot).
      on_samples: the hidden operator that takes its place where every operand is one value per sample.
      pull_back: `(x, neighbourhood, cotangent) -> cotangent of x` of an aggregation with one operand, where reverse mode is
        slow; None takes reverse mode.
      hidden: never sampled nor parsed; stands only for another operator (see `on_samples`).
    """

    name: str
    arity: int
    function: Callable[..., Array]
    sympy: str
    latex: str
    commutative: bool = False
    aggregates: bool = False
    passes_gradient: bool = True
    yields_sample: bool = False
    on_samples: str | None = None
    pull_back: Callable[[Array, Neighbourhood, Array], Array] | None = None
    hidden: bool = False

    def __call__(self, operands: tuple[Array, ...], neighbourhood: Neighbourhood) -> Array:
        """Applies the operator to `arity` tensors that broadcast to `[N, H, W, C]`."""
        return self.function(*operands, neighbourhood) if self.aggregates else self.function(*operands)


@dataclasses.dataclass(frozen=True)
class OperatorSet:
    """The operators of one paper. The opcode of an operator is its position plus one; opcode 0 does nothing.

    Attributes:
      name: as used in configs.
      source: paper and table.
      operators: in a fixed order.
    """

    name: str
    source: str
    operators: tuple[Operator, ...]

    @functools.cached_property
    def by_name(self) -> Mapping[str, Operator]:
        return {operator.name: operator for operator in self.operators}

    @functools.cached_property
    def opcodes(self) -> Mapping[str, int]:
        return {operator.name: index + 1 for index, operator in enumerate(self.operators)}

    @functools.cached_property
    def elementwise(self) -> "OperatorSet":
        """The operators that look at no other position or channel, as a set of their own; itself where all are such."""
        chosen = tuple(operator for operator in self.operators if not operator.aggregates)
        return self if len(chosen) == len(self.operators) else OperatorSet(f"{self.name}_elementwise", self.source, chosen)

    @functools.cached_property
    def visible(self) -> tuple[Operator, ...]:
        """The operators that may be sampled and written."""
        return tuple(operator for operator in self.operators if not operator.hidden)

    def __hash__(self) -> int:
        return hash((self.name, len(self.operators)))

    def __getitem__(self, name: str) -> Operator:
        return self.by_name[name]


# --- elementwise ---------------------------------------------------------------------------------------------------------------

ZERO_EPSILON = 1e-12  # AutoLoss-Zero, Table 1
CSE_EPSILON = 1e-20  # the published code of CSE-Autoloss
CSE_EXPONENT_LIMIT = 88.0  # the published code of CSE-Autoloss


def _gudermannian(x: Array) -> Array:
    return 2 * jnp.arctan(jnp.tanh(x / 2))


def _algebraic(x: Array) -> Array:
    """x / sqrt(1 + x^2), written so that x^2 cannot overflow: the curve would fall back to 0, from 2e19 on in float32."""
    return jnp.sin(jnp.arctan(x))


def _unary(name: str, function: Callable, sympy: str, latex: str, **options) -> Operator:
    return Operator(name, 1, function, sympy, latex, **options)


def _binary(name: str, function: Callable, sympy: str, latex: str, **options) -> Operator:
    return Operator(name, 2, function, sympy, latex, **options)


def _pooling(name: str, function: Callable, pull_back: Callable) -> Operator:
    latex = rf"\mathrm{{{{{name}}}}}\left({{0}}\right)"
    return _unary(f"{name}3x3", function, f"{name}3x3({{0}})", latex, aggregates=True, pull_back=pull_back)


ADD = _binary("Add", lambda x, y: x + y, "({0}) + ({1})", r"\left({0} + {1}\right)", commutative=True)
MUL = _binary("Mul", lambda x, y: x * y, "({0})*({1})", r"{0} \cdot {1}", commutative=True)
NEG = _unary("Neg", lambda x: -x, "-({0})", r"\left(-{0}\right)")
# Slope 0 at 0, as in PyTorch; that of jnp.abs is 1.
ABS = _unary("Abs", lambda x: x * jnp.sign(x), "Abs({0})", r"\left|{0}\right|")
EXP = _unary("Exp", jnp.exp, "exp({0})", r"e^{{{0}}}")
TANH = _unary("Tanh", jnp.tanh, "tanh({0})", r"\tanh\left({0}\right)")
SQUARE = _unary("Square", lambda x: x * x, "({0})**2", r"\left({0}\right)^{{2}}")
SIGMOID = _unary("Sig", jax.nn.sigmoid, "1/(1 + exp(-({0})))", r"\sigma\left({0}\right)")
SIN = _unary("Sin", jnp.sin, "sin({0})", r"\sin\left({0}\right)")
COS = _unary("Cos", jnp.cos, "cos({0})", r"\cos\left({0}\right)")
RELU = _unary("Relu", jax.nn.relu, "Max({0}, 0)", r"\left[{0}\right]_{{+}}")
SOFTPLUS = _unary("Softplus", jax.nn.softplus, "log(1 + exp({0}))", r"\log\left(1 + e^{{{0}}}\right)")
PLAIN_SQRT = _unary("Sqrt", jnp.sqrt, "sqrt({0})", r"\sqrt{{{0}}}")

AUTOLOSS_ZERO = OperatorSet(
    "autoloss_zero",
    "AutoLoss-Zero (CVPR 2022), Table 1",
    (
        ADD,
        MUL,
        NEG,
        ABS,
        _unary("Inv", lambda x: 1 / (x + ZERO_EPSILON), "1/(({0}) + epsilon)", r"\frac{{1}}{{{0} + \epsilon}}"),
        _unary(
            "Log",
            lambda x: jnp.sign(x) * jnp.log(jnp.abs(x) + ZERO_EPSILON),
            "sign({0})*log(Abs({0}) + epsilon)",
            r"\mathrm{{sign}}\left({0}\right) \log\left(\left|{0}\right| + \epsilon\right)",
        ),
        EXP,
        TANH,
        SQUARE,
        _unary(
            "Sqrt",
            lambda x: jnp.sign(x) * jnp.sqrt(jnp.abs(x) + ZERO_EPSILON),
            "sign({0})*sqrt(Abs({0}) + epsilon)",
            r"\mathrm{{sign}}\left({0}\right) \sqrt{{\left|{0}\right| + \epsilon}}",
        ),
        _unary("Mean_nhw", mean_nhw, "Mean_nhw({0})", r"\mathrm{{Mean}}_{{nhw}}\left({0}\right)", aggregates=True),
        _unary("Mean_c", mean_c, "Mean_c({0})", r"\mathrm{{Mean}}_{{c}}\left({0}\right)", aggregates=True),
        _pooling("MaxPool", max_pooling, max_pooling_pull_back),
        _pooling("MinPool", min_pooling, min_pooling_pull_back),
    ),
)

AUTOLOSS_GMS = OperatorSet(
    "autoloss_gms",
    "AutoLoss-GMS (CVPR 2022), supplement, Table 1",
    (
        ADD,
        _binary("Minus", lambda x, y: x - y, "({0}) - ({1})", r"\left({0} - {1}\right)"),
        MUL,
        _binary("Div", lambda x, y: x / y, "({0})/({1})", r"\frac{{{0}}}{{{1}}}"),
        NEG,
        ABS,
        _unary("Inv", lambda x: 1 / x, "1/({0})", r"\frac{{1}}{{{0}}}"),
        _unary("Log", jnp.log, "log({0})", r"\log\left({0}\right)"),
        EXP,
        SIGMOID,
        TANH,
        SIN,
        COS,
        _unary("Arcsin", jnp.arcsin, "asin({0})", r"\arcsin\left({0}\right)"),
        _unary("Arccos", jnp.arccos, "acos({0})", r"\arccos\left({0}\right)"),
        SQUARE,
        PLAIN_SQRT,
        RELU,
        SOFTPLUS,
        _unary("Gd", _gudermannian, "2*atan(tanh(({0})/2))", r"\mathrm{{gd}}\left({0}\right)"),
        _unary("Alf", _algebraic, "({0})/sqrt(1 + ({0})**2)", r"\mathrm{{alf}}\left({0}\right)"),
        _unary("Erf", jax.scipy.special.erf, "erf({0})", r"\mathrm{{erf}}\left({0}\right)"),
        _unary("Erfc", jax.scipy.special.erfc, "erfc({0})", r"\mathrm{{erfc}}\left({0}\right)"),
        _unary("Detach", lax.stop_gradient, "Detach({0})", r"\mathrm{{de}}\left({0}\right)", passes_gradient=False),
    ),
)

# The S-curves are rescaled to the range (0, 1) with slope 1/4 at 0, as sigmoid has: the published code does so in output and
# input (the paper mentions only the output).
CSE_AUTOLOSS = OperatorSet(
    "cse_autoloss",
    "CSE-Autoloss (ICLR 2021), Section 3.1, with the constants of the published code",
    (
        ADD,
        _binary("Sub", lambda x, y: x - y, "({0}) - ({1})", r"\left({0} - {1}\right)"),
        MUL,
        _binary("Div", lambda x, y: x / (y + CSE_EPSILON), "({0})/(({1}) + epsilon)", r"\frac{{{0}}}{{{1} + \epsilon}}"),
        _binary(
            "Dot",
            dot,
            "Dot({0}, {1})",
            r"{0}^{{\top}} {1}",
            aggregates=True,
            yields_sample=True,
            on_samples="DotOfSample",
            commutative=True,
        ),
        NEG,
        _unary("Exp", lambda x: jnp.exp(jnp.minimum(x, CSE_EXPONENT_LIMIT)), "exp(Min({0}, 88))", r"e^{{{0}}}"),
        _unary("Log", lambda x: jnp.log(x + CSE_EPSILON), "log(({0}) + epsilon)", r"\log\left({0} + \epsilon\right)"),
        ABS,
        PLAIN_SQRT,
        _unary(
            "Softmax",
            softmax,
            "Softmax({0})",
            r"\mathrm{{softmax}}\left({0}\right)",
            aggregates=True,
            on_samples="SoftmaxOfSample",
        ),
        SOFTPLUS,
        SIGMOID,
        _unary(
            "Gd",
            lambda x: ((2 / jnp.pi) * _gudermannian(jnp.pi * x / 4) + 1) / 2,
            "(4/pi*atan(tanh(pi*({0})/8)) + 1)/2",
            r"\mathrm{{sgd}}\left({0}\right)",
        ),
        _unary(
            "Alf",
            lambda x: (_algebraic(x / 2) + 1) / 2,
            "((({0})/2)/sqrt(1 + (({0})/2)**2) + 1)/2",
            r"\mathrm{{salf}}\left({0}\right)",
        ),
        _unary(
            "Erf",
            lambda x: (jax.scipy.special.erf(jnp.sqrt(jnp.pi) * x / 4) + 1) / 2,
            "(erf(sqrt(pi)*({0})/4) + 1)/2",
            r"\mathrm{{serf}}\left({0}\right)",
        ),
        _unary(
            "Erfc",
            lambda x: jax.scipy.special.erfc(jnp.sqrt(jnp.pi) * x / 4) / 2,
            "erfc(sqrt(pi)*({0})/4)/2",
            r"\mathrm{{serfc}}\left({0}\right)",
        ),
        TANH,
        RELU,
        SIN,
        COS,
        # Over the single channel of a per-sample value. Softmax is one, with the NaN pattern of the real thing.
        _binary("DotOfSample", lambda x, y: x * y, "({0})*({1})", r"{0} \cdot {1}", commutative=True, hidden=True),
        _unary("SoftmaxOfSample", lambda x: x - x + 1, "1", "1", hidden=True),
    ),
)

OPERATOR_SETS: Mapping[str, OperatorSet] = {
    operators.name: operators for operators in (AUTOLOSS_ZERO, AUTOLOSS_GMS, CSE_AUTOLOSS)
}


def operator_set(name: str) -> OperatorSet:
    """Looks an operator set up by name.

    Raises:
      UserError: for an unknown name; lists the known ones.
    """
    if name not in OPERATOR_SETS:
        raise unknown("operator set", name, OPERATOR_SETS)
    return OPERATOR_SETS[name]
