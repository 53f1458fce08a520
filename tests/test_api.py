"""The public face: what `import jaxloss` offers."""

import ast
import importlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from tests.test_own_space import REPOSITORY

PREDICTION = jnp.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
TARGET = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"


def test_every_public_name_is_there_and_has_a_docstring():
    for name in jaxloss.__all__:
        assert getattr(jaxloss, name).__doc__, name
    assert set(jaxloss.__all__) <= set(dir(jaxloss))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        importlib.import_module("jaxloss").nothing  # noqa: B018


def test_what_own_parts_are_made_of_is_public():
    """Tasks with their data, spaces with their pictures, filters with their verdicts."""
    task = {"Task", "LossInputs", "RejectionProblem", "HostMetrics", "StreamedRows", "ArrayRows", "RowSource"}
    space = {"Space", "Branch", "Form", "ProgramOverflow", "TuningRange", "Drawing", "Panel", "Line", "Reference"}
    a_filter = {"Filter", "FilterContext", "Screened", "Cost", "Reason", "Verdict"}
    assert task | space | a_filter | {"UserError"} <= set(jaxloss.__all__)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_use_the_public_face_alone(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("jaxloss.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "jaxloss":
            assert node.module == "jaxloss"
            assert {alias.name for alias in node.names} <= set(jaxloss.__all__)


def test_importing_the_package_loads_nothing():
    code = "import sys, jaxloss; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


class TestLosses:
    def test_a_formula_is_a_function_under_jit_and_grad(self):
        loss = jaxloss.parse(CROSS_ENTROPY)
        wanted = -np.log([0.7, 0.4]).mean()
        np.testing.assert_allclose(loss(PREDICTION, TARGET), wanted, rtol=1e-6)
        np.testing.assert_allclose(jax.jit(loss)(target=TARGET, prediction=PREDICTION), wanted, rtol=1e-6)
        gradient = jax.grad(loss)(PREDICTION, TARGET)
        np.testing.assert_allclose(gradient, -TARGET / PREDICTION / 2, rtol=1e-6)
        known = jaxloss.parse(CROSS_ENTROPY, ranges={"prediction": (0, 1), "target": (0, 1)})
        assert known.simplified == "-target*log(prediction)"
        assert known.latex == r"- y \log{\left(\hat{y} \right)}"
        assert "def loss(" in loss.python()

    def test_void_positions_and_weights(self):
        loss = jaxloss.parse(CROSS_ENTROPY)
        np.testing.assert_allclose(loss(PREDICTION, TARGET, mask=jnp.array([True, False])), -np.log(0.7), rtol=1e-6)
        weighted = loss(PREDICTION, TARGET, weights=jnp.array([1.0, 3.0]))
        np.testing.assert_allclose(weighted, -(np.log(0.7) + 3 * np.log(0.4)) / 4, rtol=1e-6)

    def test_ready_losses_by_name(self):
        logits = jnp.log(PREDICTION)
        np.testing.assert_allclose(jaxloss.loss("cross_entropy")(logits, TARGET), -np.log([0.7, 0.4]).mean(), rtol=1e-6)
        gce = jaxloss.loss("gce", q=0.5)
        np.testing.assert_allclose(gce(logits, TARGET), np.mean((1 - np.sqrt([0.7, 0.4])) / 0.5), rtol=1e-6)
        published = jaxloss.loss("autoloss_gms_d")
        assert np.isfinite(published(cosine=PREDICTION, target=TARGET))
        assert published.formula.startswith("t: ")

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: jaxloss.parse("Log(predicton)"), "predicton"),
            (lambda: jaxloss.parse(CROSS_ENTROPY, "autoloss_zer"), "Did you mean 'autoloss_zero'?"),
            (lambda: jaxloss.loss("gcee"), "Did you mean 'gce'?"),
            (lambda: jaxloss.loss("gce", p=1), "unknown hyper-parameter of gce 'p'"),
            (lambda: jaxloss.loss("autoloss_gms_d", s=1), "takes no hyper-parameters"),
            (lambda: jaxloss.parse(CROSS_ENTROPY)(PREDICTION), "the loss takes prediction, target: 'target' is missing"),
            (lambda: jaxloss.parse(CROSS_ENTROPY)(PREDICTION, TARGET, logits=TARGET), "there is no 'logits'"),
            (lambda: jaxloss.parse(CROSS_ENTROPY)(PREDICTION, TARGET, target=TARGET), "the loss got 'target' twice"),
            (lambda: jaxloss.parse(CROSS_ENTROPY)(PREDICTION[0], TARGET[0]), r"not of shape \[3\]"),
            (lambda: jaxloss.loss("cross_entropy").latex, "has no formula"),
            (lambda: jaxloss.open_run("no such run"), "is not the directory of a run"),
        ],
    )
    def test_mistakes_are_named_in_one_line(self, call, message):
        with pytest.raises(jaxloss.UserError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
