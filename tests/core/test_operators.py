"""Every operator: values worked out by hand from the papers' formulas, and slopes against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.graphs.operators.operator import Neighbourhood
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS
from tests.core import reference_rules

ZERO, GMS, CSE = SETS = (AUTOLOSS_ZERO, AUTOLOSS_GMS, CSE_AUTOLOSS)
ALL = [(operators, operator) for operators in SETS for operator in operators.operators]
every_operator = pytest.mark.parametrize(("operators", "operator"), ALL, ids=[f"{s.name}-{o.name}" for s, o in ALL])

inf, nan = np.inf, np.nan
E12 = 1e-12

# Operator -> (operands, value) for single numbers.
COMMON = {
    "Add": [((2, 3), 5), ((inf, -inf), nan)],
    "Mul": [((2, -3), -6), ((0, inf), nan)],
    "Neg": [((2,), -2)],
    "Abs": [((-2,), 2), ((0,), 0), ((-inf,), inf), ((nan,), nan)],
    "Exp": [((0,), 1), ((1,), 2.718281828459045), ((-inf,), 0)],
    "Tanh": [((0,), 0), ((0.5,), 0.46211715726000975), ((50,), 1)],
}
CURVES = {
    "Sig": [((0,), 0.5), ((2,), 0.8807970779778823), ((-1000,), 0)],
    "Sin": [((0.5,), 0.479425538604203)],
    "Cos": [((0.5,), 0.8775825618903728)],
    "Relu": [((-2,), 0), ((0,), 0), ((3,), 3)],
    "Softplus": [((0,), 0.6931471805599453), ((1000,), 1000), ((-1000,), 0)],
    "Sqrt": [((4,), 2), ((0,), 0), ((-1,), nan)],
}
VALUES = {
    "autoloss_zero": COMMON
    | {
        "Inv": [((2,), 0.5), ((0,), 1e12), ((1e-12,), 5e11)],
        # sign(x) log(|x| + eps): zero at zero, positive for small negative numbers.
        "Log": [((0,), 0), ((1,), 1e-12), ((-1e-3,), 6.907755277982137), ((1e-3,), -6.907755277982137), ((-1,), -1e-12)],
        "Square": [((-3,), 9)],
        "Sqrt": [((4,), 2), ((-4,), -2), ((0,), 0), ((E12,), 1.4142135623730951e-6)],
        "Mean_nhw": [((3,), 3)],
        "Mean_c": [((3,), 3)],
        "MaxPool3x3": [((3,), 3), ((-inf,), -inf)],
        "MinPool3x3": [((3,), 3)],
    },
    "autoloss_gms": COMMON
    | CURVES
    | {
        "Minus": [((2, 3), -1)],
        "Div": [((3, 2), 1.5), ((1, 0), inf), ((-1, 0), -inf), ((0, 0), nan)],
        "Inv": [((4,), 0.25), ((0,), inf)],
        "Log": [((1,), 0), ((0,), -inf), ((-1,), nan)],
        "Arcsin": [((0.5,), 0.5235987755982989), ((1.5,), nan)],
        "Arccos": [((0.5,), 1.0471975511965979), ((-1.5,), nan)],
        "Square": [((-3,), 9)],
        # gd(x) = 2 atan(tanh(x / 2)), and gd(asinh(1)) = pi / 4
        "Gd": [((0,), 0), ((0.881373587019543,), 0.7853981633974483), ((-100,), -1.5707963267948966)],
        "Alf": [((0,), 0), ((1,), 0.7071067811865476), ((-2,), -0.894427190999916), ((1e200,), 1), ((-inf,), -1)],
        "Erf": [((0,), 0), ((0.5,), 0.5204998778130465)],
        "Erfc": [((0,), 1), ((0.5,), 0.4795001221869535)],
        "Detach": [((3,), 3)],
    },
    "cse_autoloss": COMMON
    | CURVES
    | {
        "Sub": [((2, 3), -1)],
        "Div": [((3, 2), 1.5), ((1, 0), 1e20), ((0, 0), 0)],
        "Dot": [((2, 3), 6)],
        "DotOfSample": [((2, 3), 6)],
        "Exp": [*COMMON["Exp"], ((88,), 1.6516362549940018e38), ((1000,), 1.6516362549940018e38)],
        "Log": [((1,), 0), ((0,), -46.051701859880914), ((-1,), nan)],
        "Softmax": [((2,), 1), ((inf,), nan)],
        "SoftmaxOfSample": [((2,), 1), ((inf,), nan)],
        "Gd": [((0,), 0.5), ((1000,), 1), ((-1000,), 0), ((4 / np.pi * 0.881373587019543,), 0.75)],
        "Alf": [((0,), 0.5), ((2,), 0.8535533905932737), ((1e9,), 1), ((-1e9,), 0)],
        "Erf": [((0,), 0.5), ((4 / np.sqrt(np.pi) * 0.5,), 0.7602499389065233), ((100,), 1), ((-100,), 0)],
        "Erfc": [((0,), 0.5), ((4 / np.sqrt(np.pi) * 0.5,), 0.23975006109347674), ((100,), 0), ((-100,), 1)],
    },
}


def apply(operator, operands, mask=None):
    operands = tuple(jnp.asarray(operand) for operand in operands)
    mask = jnp.ones((*operands[0].shape[:-1], 1), bool) if mask is None else jnp.asarray(mask)
    return operator(operands, Neighbourhood(mask))


def single(number):
    return np.full((1, 1, 1, 1), number, np.float64)


def test_the_sets_of_the_papers():
    assert {operators.name: len(operators.visible) for operators in SETS} == {
        "autoloss_zero": 14,
        "autoloss_gms": 24,
        "cse_autoloss": 21,
    }


@every_operator
def test_values(float64, operators, operator):
    for operands, value in VALUES[operators.name][operator.name]:
        result = apply(operator, map(single, operands))
        np.testing.assert_allclose(result, single(value), rtol=1e-12, atol=1e-16, err_msg=str(operands))


@every_operator
def test_gradient_is_the_slope(float64, operators, operator):
    """The derivative along a random direction, at points away from kinks, poles and ties."""
    random = np.random.default_rng(1)
    shape = (2, 4, 3, 3)
    mask = random.random((*shape[:-1], 1)) < 0.8
    operands = [random.uniform(0.1, 0.9, shape) for _ in range(operator.arity)]
    directions = [random.normal(size=shape) for _ in operands]
    cotangent = None

    def along(step):
        return np.asarray(apply(operator, [x + step * d for x, d in zip(operands, directions, strict=True)], mask))

    result, pull_back = jax.vjp(lambda *xs: apply(operator, xs, mask), *map(jnp.asarray, operands))
    cotangent = random.normal(size=result.shape)
    gradients = pull_back(jnp.asarray(cotangent))
    slope = sum(np.sum(g * d) for g, d in zip(gradients, directions, strict=True))
    if operator.passes_gradient:
        np.testing.assert_allclose(slope, np.sum(cotangent * (along(1e-6) - along(-1e-6))) / 2e-6, rtol=1e-6, atol=1e-8)
    else:
        assert slope == 0


@pytest.mark.parametrize("name", ["Sig", "Gd", "Alf", "Erf", "Erfc"])
def test_s_curves_of_cse_have_slope_one_quarter_at_zero(float64, name):
    slope = jax.grad(lambda x: apply(CSE[name], [x]).sum())(single(0))
    np.testing.assert_allclose(slope, single(-0.25 if name == "Erfc" else 0.25), rtol=1e-14)


@pytest.mark.parametrize(
    ("operator", "point", "slope"),
    [
        (ZERO["Abs"], 0, 0),
        (ZERO["Log"], 0, 0),
        (ZERO["Sqrt"], 0, 0),
        (ZERO["Log"], -1e-3, 1 / (1e-3 + E12)),
        (ZERO["Inv"], 0, -1e24),
        (GMS["Relu"], 0, 0),
        (GMS["Sqrt"], 0, inf),
        (GMS["Log"], 0, inf),
        (GMS["Inv"], 0, -inf),
        (GMS["Arcsin"], 1, inf),
        (CSE["Exp"], 88.5, 0),
        (CSE["Log"], 0, 1e20),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_slopes_at_special_points(float64, operator, point, slope):
    gradient = jax.grad(lambda x: apply(operator, [x]).sum())(single(point))
    np.testing.assert_allclose(gradient, single(slope), rtol=1e-12)


@every_operator
def test_commutative_operators_are_so_to_the_bit(float64, operators, operator):
    random = np.random.default_rng(2)
    x, y = random.normal(size=(2, 2, 1, 1, 5))
    if operator.commutative:
        np.testing.assert_array_equal(apply(operator, [x, y]), apply(operator, [y, x]))
    elif operator.arity == 2:
        assert not np.array_equal(apply(operator, [x, y]), apply(operator, [y, x]))


# --- aggregations --------------------------------------------------------------------------------------------------------------


def image(rows):
    """`[1, H, W, 1]`"""
    return np.asarray(rows, np.float64)[None, :, :, None]


VOID_CENTRE = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)[None, :, :, None]


def test_mean_over_positions_skips_void(float64):
    x = np.arange(8.0).reshape(2, 1, 2, 2)
    mask = np.array([[True, False], [True, True]]).reshape(2, 1, 2, 1)
    result = apply(ZERO["Mean_nhw"], [x], mask)
    np.testing.assert_allclose(result[mask[..., 0]], np.broadcast_to([10 / 3, 13 / 3], (3, 2)))


def test_mean_over_channels(float64):
    x = np.array([[1.0, 2, 6], [0, 0, 3]]).reshape(2, 1, 1, 3)
    np.testing.assert_allclose(apply(ZERO["Mean_c"], [x])[:, 0, 0], [[3, 3, 3], [1, 1, 1]])


def test_pooling_keeps_borders_and_skips_void(float64):
    x = image([[-1, -2, -3], [-4, 9, -6], [-7, -8, -5]])
    mask = VOID_CENTRE
    largest = apply(ZERO["MaxPool3x3"], [x], mask)[0, :, :, 0]
    smallest = apply(ZERO["MinPool3x3"], [x], mask)[0, :, :, 0]
    valid = mask[0, :, :, 0]
    np.testing.assert_array_equal(largest[valid], image([[-1, -1, -2], [-1, 0, -2], [-4, -4, 0]])[0, :, :, 0][valid])
    np.testing.assert_array_equal(smallest[valid], image([[-4, -6, -6], [-8, 0, -8], [-8, -8, 0]])[0, :, :, 0][valid])


def test_pooling_shares_the_gradient_between_ties(float64):
    """One window of each kind: a unique maximum, a tie of three, and a window of infinities where void ones have no share."""
    pool = ZERO["MaxPool3x3"]
    centre = np.zeros((1, 3, 3, 1))
    centre[0, 1, 1] = 1

    def gradient(x, mask=None):
        return jax.grad(lambda x: jnp.sum(apply(pool, [x], mask) * centre))(x)[0, :, :, 0]

    np.testing.assert_array_equal(gradient(image([[0, 1, 0], [0, 5, 2], [0, 0, 0]])), [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    third = 1 / 3
    np.testing.assert_allclose(gradient(image([[4, 1, 0], [0, 4, 2], [0, 0, 4]])), np.diag([third] * 3))
    mask = np.ones((1, 3, 3, 1), bool)
    mask[0, 0] = False
    np.testing.assert_allclose(gradient(np.full((1, 3, 3, 1), -inf), mask), [[0] * 3, [1 / 6] * 3, [1 / 6] * 3])


@pytest.mark.parametrize("name", ["MaxPool3x3", "MinPool3x3"])
@pytest.mark.parametrize("batch", [1, 64])
def test_pooling_keeps_nan(float64, name, batch):
    """At any size: XLA's own maximum loses NaN in vectorised code. The gradient goes to the NaN, its neighbours are spared."""
    x = np.zeros((batch, 5, 5, 3))
    x[:, 2, 2] = nan
    result, pull_back = jax.vjp(jax.jit(lambda x: apply(ZERO[name], [x])), x)
    near = np.zeros((5, 5), bool)
    near[1:4, 1:4] = True
    np.testing.assert_array_equal(np.isnan(result), np.broadcast_to(near[None, :, :, None], x.shape))
    (gradient,) = pull_back(jnp.ones_like(x))
    np.testing.assert_allclose(gradient[:, 2, 2], 9)


def test_dot_is_one_value_per_sample(float64):
    x, y = np.arange(6.0).reshape(2, 1, 1, 3), np.array([1.0, 2, 3]).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(apply(CSE["Dot"], [x, y])[:, 0, 0], [[8], [26]])


def test_softmax_over_channels(float64):
    x = np.log([[1.0, 2, 5], [1, 1, 2]]).reshape(2, 1, 1, 3)
    expected = [[0.125, 0.25, 0.625], [0.25, 0.25, 0.5]]
    np.testing.assert_allclose(apply(CSE["Softmax"], [x + 900])[:, 0, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (2, 1, 1, 3), (1, 2, 7, 1)])
@pytest.mark.parametrize("name", ["MaxPool3x3", "MinPool3x3"])
def test_the_gradient_of_pooling_is_that_of_nine_windows(name, shape):
    """With ties, void positions, and NaN and infinity among values and cotangents; the reference sums in another order."""
    rule = reference_rules.pooling(1 if name == "MaxPool3x3" else -1)

    @jax.jit
    def gradient(x, cotangent, mask):
        return jax.vjp(lambda value: ZERO[name]((value,), Neighbourhood(mask)), x)[1](cotangent)[0]

    for seed in range(20):
        random = np.random.default_rng(seed)
        x = random.choice([0.0, 0.5, 1.0, -1.0, 2.0, 1e30, *([nan, inf, -inf] if seed % 2 else [])], shape).astype(np.float32)
        cotangent = random.choice([1.0, 0.3, -2.0, 0.0, *([nan, inf] if seed % 3 else [])], shape).astype(np.float32)
        mask = random.random((*shape[:-1], 1)) < 0.8
        at = reference_rules.At(mask, None)
        (expected,) = rule.backward(at, cotangent, rule.forward(at, x), x)
        np.testing.assert_allclose(gradient(x, cotangent, mask), np.where(mask, expected, 0), rtol=1e-6, atol=1e-6)
