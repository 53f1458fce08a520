"""The compiled form: forward mode, one value per sample, no rewriting of what overflows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from tests.core import forms
from tests.core.random_graphs import FLAT, SETTINGS, SPATIAL, random_batch, random_graphs

ZERO, GMS, CSE = SETTINGS.values()


def read(text, setting):
    return parse(text, setting.layout.operators, setting.layout.inputs)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_forward_mode_agrees_with_reverse_mode(float64, setting):
    batch = random_batch(1, setting, SPATIAL if setting is ZERO else FLAT, masked=False)
    tangents = jax.tree.map(lambda leaf: np.random.default_rng(2).normal(size=leaf.shape), batch.arrays)
    compared = 0
    losses = [compile_graph(graph, setting.layout.operators) for graph in random_graphs(3, setting, 10)]

    def total(loss):
        return lambda arrays: jnp.sum(loss(LossInputs.create(arrays)))

    @jax.jit
    def both(arrays):
        forward = [jax.jvp(total(loss), (arrays,), (tangents,))[1] for loss in losses]
        return forward, [jax.grad(total(loss))(arrays) for loss in losses]

    for forward, gradient in zip(*both(batch.arrays), strict=True):
        terms = np.concatenate([np.ravel(gradient[name] * tangents[name]) for name in gradient])
        # Cancellation apart, the two modes add up the same terms.
        if np.isfinite(terms).all() and np.abs(terms).max() < 1e6:
            np.testing.assert_allclose(forward, terms.sum(), rtol=1e-8, atol=1e-10 * np.abs(terms).sum() + 1e-12)
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("Dot(x, y)", 1),
        ("Softmax(Dot(x, y))", 1),
        ("Dot(w, Dot(x, y))", 1),
        ("Mul(w, 2)", 1),
        ("Add(w, x)", 4),
        ("Softmax(x)", 4),
    ],
)
def test_shape_tells_values_per_sample(text, channels):
    batch = random_batch(4, CSE, FLAT, masked=False, dtype=np.float32)
    values = compile_graph(read(text, CSE), CSE.layout.operators)(LossInputs.create(batch.arrays))
    assert values.shape == (*FLAT[:-1], channels)


OVERFLOW = "Exp(Exp(Exp(Exp(cosine))))"
REWRITTEN = [
    f"Log({OVERFLOW})",
    f"Log(Inv({OVERFLOW}))",
    f"Mul({OVERFLOW}, Exp(Neg(Exp(Exp(Exp(cosine))))))",
    f"Div(Div({OVERFLOW}, {OVERFLOW}), Exp(cosine))",
    f"Sqrt(Mul({OVERFLOW}, {OVERFLOW}))",
    "Div(Div(cosine, 0), cosine)",
    "Mul(Sqrt(cosine), Sqrt(cosine))",
]


def test_the_compiler_rewrites_nothing_that_overflows(float64):
    """XLA would give log(exp(x)) = x where exp(x) is infinite, which is finite and trains, unlike what the search saw."""
    graphs = [read(text, GMS) for text in REWRITTEN]
    batch = random_batch(5, GMS, FLAT, masked=False)
    values, gradients = forms.compiled(graphs, GMS, batch)
    expected_values, expected_gradients = forms.expected(graphs, GMS, batch, spread=False)
    assert not forms.compare(values, expected_values, batch.mask).wrong.any()
    assert not forms.compare(gradients["cosine"], expected_gradients["cosine"], batch.mask).wrong.any()


def test_second_order(float64):
    """d2/dx2 of x^3 is 6 x: the compiled form can be differentiated again."""
    loss = compile_graph(read("Mul(cosine, Square(cosine))", GMS), GMS.layout.operators)
    x = jnp.asarray([0.5, -0.25]).reshape(2, 1, 1, 1)
    hessian_diagonal = jax.jvp(jax.grad(lambda x: jnp.sum(loss(LossInputs.create({"cosine": x})))), (x,), (jnp.ones_like(x),))[1]
    np.testing.assert_allclose(hessian_diagonal, 6 * x, rtol=1e-12)
