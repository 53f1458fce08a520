"""An operator set from outside the package: one declaration, and every form of its formulas is there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.operators.aggregations import MEAN_NHW
from jaxloss.graphs.operators.elementwise import MUL, SIGMOID
from jaxloss.graphs.operators.operator import Operator, OperatorSet
from jaxloss.graphs.program import Layout, encode
from jaxloss.symbolic.describe import describe_formula

_SAFE_ROOT = '''
def _safe_root(x):
    """Square root with a finite slope at 0."""
    return jnp.sqrt(x + 1e-3)
'''
SAFE_ROOT = Operator(
    "SafeRoot",
    1,
    lambda x: jnp.sqrt(x + 1e-3),
    "sqrt(({0}) + epsilon)",
    r"\sqrt{{{0} + \epsilon}}",
    "_safe_root({0})",
    helpers=(_SAFE_ROOT,),
)
OWN = OperatorSet("own", "a test", (MUL, SIGMOID, SAFE_ROOT, MEAN_NHW), epsilon=1e-3)
INPUTS = ("prediction", "target")
FORMULA = "Mul(Mul(target, Sig(prediction)), Mean_nhw(Mul(SafeRoot(prediction), SafeRoot(prediction))))"


@pytest.fixture(scope="module")
def graph():
    return parse(FORMULA, OWN, INPUTS)


@pytest.fixture(scope="module")
def description(graph):
    return describe_formula(graph, OWN, INPUTS, {"prediction": (0, 1), "target": (0, 1)})


def test_its_epsilon_is_known_to_the_simplification(description):
    """1e-3 beside a prediction cannot be left out: the two roots are simplified, and epsilon stays."""
    assert description.simplified_text == "target*Mean_nhw(epsilon + prediction)/(1 + exp(-prediction))"


def test_the_exported_file_carries_its_own_helper_and_shared_ones_once_each(graph, description):
    source = description.python()
    assert [line for line in source.splitlines() if line in ("def _safe_root(x):", "def _sigmoid(x):")] == [
        "def _safe_root(x):",
        "def _sigmoid(x):",
    ]
    module = {}
    exec(source, module)
    layout = Layout(OWN, INPUTS, 8)
    random = np.random.default_rng(0)
    arrays = {name: jnp.asarray(random.uniform(0, 1, (2, 2, 3, 4)), jnp.float32) for name in INPUTS}
    inputs = LossInputs.create(arrays)

    @jax.jit
    def all_forms(program):
        values = [compile_graph(graph, OWN)(inputs), interpret(program, layout, inputs)]
        return module["loss"](**arrays), [mean_loss(value, inputs) for value in values]

    exported, others = all_forms(encode(graph, layout))
    np.testing.assert_allclose(others, exported, rtol=1e-6)


def test_its_elementwise_part_keeps_the_epsilon():
    assert OWN.elementwise == OperatorSet("own_elementwise", "a test", (MUL, SIGMOID, SAFE_ROOT), epsilon=1e-3)
