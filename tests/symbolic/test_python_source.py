"""A loss as Python source is the loss, in value and gradient."""

import ast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import Layout, encode
from jaxloss.symbolic.describe import Description, describe, describe_formula
from jaxloss.symbolic.expression import Formula
from jaxloss.symbolic.proposals import RAW
from jaxloss.symbolic.python_source import to_python
from jaxloss.symbolic.reading import Reading
from jaxloss.symbolic.simplify import Simplified
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.autoloss_zero.published import AUTOLOSS_ZERO_FORMULAS
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS
from tests.symbolic.formulas import BOXES, INPUTS, OPERATOR_SETS, random_formula, zero
from tests.symbolic.source import load

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def test_every_operator_can_be_written_as_python():
    for operators in OPERATOR_SETS:
        for operator in operators.operators:
            ast.parse(operator.python.format("a", "b"), mode="eval")


def arrays_for(inputs, shape, generator):
    """Inputs with the border values that softmax really yields, and ties for the pooling."""
    one_hot = np.eye(shape[-1])[generator.integers(0, shape[-1], shape[:-1])]
    probability = np.round(generator.uniform(size=shape), 1)
    values = {"prediction": probability, "target": one_hot, "cosine": generator.uniform(-1, 1, shape)}
    return {name: values.get(name, generator.normal(scale=2, size=shape)) for name in inputs}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("operators", OPERATOR_SETS, ids=lambda operators: operators.name)
def test_python_source_is_the_candidate(operators, dtype, tmp_path):
    formulas = [random_formula(operators, seed) for seed in range(5 if dtype == jnp.float64 else 3)]
    if operators is AUTOLOSS_ZERO and dtype == jnp.float64:
        formulas += [zero(AUTOLOSS_ZERO_FORMULAS[f"autoloss_zero_{name}"]) for name in ("macc", "biou")]
    generator = np.random.default_rng(3)
    losses = [load(to_python({"loss": formula}, "A loss."), tmp_path).loss for formula in formulas]
    flat, spatial = (5, 4), (2, 3, 4, 3)
    mask = generator.random(spatial[:-1]) < 0.7
    weights = generator.random(spatial[:-1])
    with jax.enable_x64(dtype == jnp.float64):
        cases = [
            (arrays_for(INPUTS[operators.name], flat, generator), None, None),
            (arrays_for(INPUTS[operators.name], spatial, generator), mask, weights),
        ]
        cases = jax.tree.map(lambda leaf: jnp.asarray(leaf, None if leaf.dtype == bool else dtype), cases)

        def exported(loss):
            return [jax.value_and_grad(lambda arrays: loss(**arrays, mask=m, weights=w))(a) for a, m, w in cases]  # noqa: B023

        def candidate(formula):
            def loss(arrays, mask, weights):
                four = {name: x if x.ndim == 4 else x[:, None, None] for name, x in arrays.items()}
                extend = lambda x: None if x is None else x[..., None]  # noqa: E731
                inputs = LossInputs.create(four, extend(mask), extend(weights))
                return mean_loss(compile_graph(formula.graph, formula.operators)(inputs), inputs)

            return [jax.value_and_grad(lambda arrays: loss(arrays, m, w))(a) for a, m, w in cases]  # noqa: B023

        both = jax.jit(lambda: ([exported(f) for f in losses], [candidate(f) for f in formulas]), compiler_options=QUICK)
        found, wanted = jax.device_get(both())
    # float32 holds what the conditioning leaves; float64 must agree to rounding.
    tolerance = 1e-9 if dtype == jnp.float64 else 2e-3
    for formula, ours, theirs in zip(formulas, found, wanted, strict=True):
        for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            assert x.dtype == dtype
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance, err_msg=str(formula.graph))


def test_python_source_of_per_sample_losses_agrees_with_the_interpreter(tmp_path):
    layout = Layout(CSE_AUTOLOSS, INPUTS["cse_autoloss"], 8)
    arrays = jax.tree.map(jnp.asarray, arrays_for(layout.inputs, (4, 1, 1, 3), np.random.default_rng(0)))
    inputs = LossInputs.create(arrays)
    interpreted = jax.jit(lambda program: mean_loss(interpret(program, layout, inputs), inputs), compiler_options=QUICK)
    for text in (
        "Neg(Log(Dot(Softmax(logits), target)))",
        "Dot(Dot(logits, target), Dot(logits, 1))",
        "Mul(logits, Softmax(Dot(logits, target)))",
    ):
        graph = parse(text, CSE_AUTOLOSS, layout.inputs)
        loss = load(to_python({"": Formula(graph, CSE_AUTOLOSS, layout.inputs)}, text), tmp_path).loss
        wanted = interpreted(encode(graph, layout))
        np.testing.assert_allclose(loss(**arrays), wanted, rtol=1e-5)


def test_void_positions_may_hold_anything(tmp_path):
    description = Description(Reading("", {"loss": zero("Mean_nhw(Log(prediction))")}), {"loss": Simplified(None, RAW)})
    module = load(description.python(), tmp_path)
    prediction, target = jnp.full((1, 2, 2, 3), 0.5).at[0, 0, 0].set(jnp.nan), jnp.zeros((1, 2, 2, 3))
    mask = jnp.ones((1, 2, 2), bool).at[0, 0, 0].set(False)
    value, gradient = jax.jit(jax.value_and_grad(module.loss), compiler_options=QUICK)(prediction, target, mask)
    np.testing.assert_allclose(value, 3 * np.log(0.5), rtol=1e-6)
    assert jnp.all(gradient[0, 0, 0] == 0)
    assert jnp.all(jnp.isfinite(gradient))
    assert module.loss_values(prediction[0, 0], target[0, 0], mask[0, 0]).shape == (2, 3)


def test_a_candidate_of_several_branches_has_a_function_for_each(tmp_path):
    branches = {"cls.rcnn": zero("Neg(Mul(target, Log(prediction)))"), "reg": zero("Mul(enclosing, Inv(union))", BOXES)}
    (description,) = describe([Reading("", branches)])
    assert description.text == "cls.rcnn: Neg(Mul(target, Log(prediction))) | reg: Mul(enclosing, Inv(union))"
    assert description.simplified_text == "cls.rcnn: -target*log(prediction) | reg: enclosing/union"
    module = load(description.python('found by """hand""" \\ eye"'), tmp_path)
    assert 'found by """hand""" \\ eye' in module.__doc__
    assert "-target*log(prediction)" in module.__doc__
    ones = jnp.ones((2, 1))
    np.testing.assert_allclose(module.loss_reg(ones, 2 * ones, 3 * ones), 1.5, rtol=1e-6)
    assert module.loss_values_cls_rcnn(ones, ones).shape == (2, 1)


def test_names_of_temporaries_avoid_the_inputs(tmp_path):
    inputs = ("t1", "t2")
    graph = parse("s = Exp(Log(Add(t1, t2))); Mul(s, Mul(s, t1))", AUTOLOSS_ZERO, inputs)
    module = load(describe_formula(graph, AUTOLOSS_ZERO, inputs).python(), tmp_path)
    np.testing.assert_allclose(module.loss(jnp.full((1, 1), 2.0), jnp.full((1, 1), 3.0)), 50.0, rtol=1e-5)
