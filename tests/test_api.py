"""The public face: what `import jaxloss` offers."""

import ast
import importlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

import jaxloss
from jaxloss.systems.registry import PUBLISHED
from tests.errors import user_error
from tests.test_own_space import REPOSITORY

PREDICTION = jnp.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
TARGET = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
TINY = REPOSITORY / "tests/configs/tiny.py"
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

    @pytest.mark.parametrize("name", ["focal", "mae", "gce", "sce", "nce_rce", "jensen_shannon"])
    def test_a_loss_of_one_hot_labels_refuses_others_where_it_sees_them(self, name):
        loss, logits, soft = jaxloss.loss(name), jnp.log(PREDICTION), jnp.array([[0.0, 0.0, 1.0], [0.1, 0.9, 0.0]])
        says = (f"{name} is a loss of one-hot labels", "'target' of sample 1 is [0.1, 0.9, 0]: give the labels one-hot")
        with user_error(*says):
            loss(logits, soft)
        with user_error(*says):
            jax.grad(loss)(logits, soft)
        # What reaches no mean may be anything; traced values are not seen, and the labels that there are compute as ever.
        assert np.isfinite(loss(logits, soft, mask=jnp.array([True, False])))
        assert np.isfinite(loss(logits, soft, weights=jnp.array([1.0, 0.0])))
        assert np.isfinite(jax.jit(loss)(logits, soft))
        np.testing.assert_allclose(jax.jit(lambda logits: loss(logits, TARGET))(logits), loss(logits, TARGET), rtol=1e-6)
        assert ", of a one-hot target alone" in loss.python("numpy")

    @pytest.mark.parametrize("name", PUBLISHED)
    def test_every_published_loss_is_a_function_of_what_it_reads(self, name):
        loss = jaxloss.loss(name)
        arrays = {
            branch: {one: jnp.full((2, 3), value) for value, one in zip((0.2, 0.7, 0.9), names, strict=False)}
            for branch, names in loss.inputs.items()
        }
        given = arrays if len(arrays) > 1 else next(iter(arrays.values()))
        assert np.isfinite(loss(given) if len(arrays) > 1 else loss(**given))

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
            (lambda: jaxloss.open_run(None), "workdir must be the path of the directory of a run, not None"),
            (lambda: jaxloss.run({}, "run"), r"config must be a config, see jaxloss\.load_config and .*, not \{\}"),
            (lambda: jaxloss.run(None, "run"), r"config must be a config, see .*, not None"),
            (
                lambda: jaxloss.run(jaxloss.default_config(), None),
                "workdir must be the path of the directory of the run, not None",
            ),
            (lambda: jaxloss.run(ConfigDict({"seed": 1}), "run"), "run was given a config without the key 'comparison'"),
            (lambda: jaxloss.parse(3), "formula must be text, such as '.*', not 3"),
            (lambda: jaxloss.parse("target", space=3), "space must be the name of a system, or a Space, not 3"),
            (lambda: jaxloss.loss(None), "name must be the name of a loss, not None"),
            (lambda: jaxloss.loss("gce", q="a"), "q must be a finite number, not 'a'"),
            (lambda: jaxloss.loss("gce", q=float("nan")), "q must be a finite number, not nan"),
            (lambda: jaxloss.loss("gce", q=0), "q must be above 0, not 0"),
            (lambda: jaxloss.loss("jensen_shannon", weight=1.0), r"weight must be above 0 and below 1, not 1\.0"),
            (lambda: jaxloss.make_space(3), "name must be the name of a system, not 3"),
            (
                lambda: jaxloss.make_space("autoloss_zero", branches=3),
                r"space\.autoloss_zero\.branches takes a value of type tuple like \('classification',\), not 3",
            ),
            (
                lambda: jaxloss.parse(CROSS_ENTROPY, ranges={"predction": (0, 1)}),
                "unknown input in ranges 'predction'. Did you mean 'prediction'",
            ),
            (lambda: jaxloss.parse(CROSS_ENTROPY, ranges={"target": (1, 0)}), r"low below high, not \(1, 0\)"),
            (lambda: jaxloss.parse(CROSS_ENTROPY, ranges={"target": 3}), r"must be \(low, high\), two numbers, .*, not 3"),
            (lambda: jaxloss.parse(CROSS_ENTROPY, ranges=3), r"ranges must be a mapping input -> \(low, high\), not 3"),
            (lambda: jaxloss.load_config(3), "path must be the path of a config file, not 3"),
            (lambda: jaxloss.load_config(TINY, ["seed=1"]), "overrides must be a mapping dotted key -> value, not"),
            (lambda: jaxloss.load_config(TINY, {1: 2}), "a key of overrides must be text, such as '.*', not 1"),
            (
                lambda: jaxloss.load_config(TINY, {"search.num_trainings": None}),
                r"search\.num_trainings takes a value of type int like 6, not None",
            ),
        ],
    )
    def test_mistakes_are_named_in_one_line(self, call, message):
        with pytest.raises(jaxloss.UserError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_overrides_are_text_or_values():
    values = {
        "search.num_trainings": 3,
        "training.learning_rate": 1,
        "search.control": False,
        "comparison.divisions": [0, 2],
        "task.name": "classification",
        "task.classification.pixel_mean": [0.5],
        "task.classification.model_options.features": (4, 8),
    }
    config = jaxloss.load_config(TINY, values)
    assert config == jaxloss.load_config(str(TINY), {key: str(value) for key, value in values.items()})
    assert config.training.learning_rate == 1.0
    assert config.comparison.divisions == (0, 2)
    assert config.task.classification.pixel_mean == (0.5,)


def test_settings_of_a_space_are_those_of_its_section():
    space = jaxloss.make_space("autoloss_zero", branches=["a", "b"], branch_weights=(1, 2))
    assert [(branch.name, branch.weight) for branch in space.branches] == [("a", 1.0), ("b", 2.0)]
    with pytest.raises(jaxloss.UserError, match=r"max_instructions must be at least 1, not 0"):
        jaxloss.make_space(max_instructions=0)


def test_ranges_may_be_of_what_a_form_makes_of_its_inputs():
    loss = jaxloss.parse("t: Minus(x, 0.35) | n: x | log2_s: 5", "autoloss_gms", ranges={"x": (-1, 1)})
    assert loss.formula.startswith("t: ")


def test_a_hyperparameter_may_be_traced():
    logits = jnp.log(PREDICTION)
    traced = jax.jit(lambda q: jaxloss.loss("gce", q=q)(logits, TARGET))(0.5)
    np.testing.assert_allclose(traced, jaxloss.loss("gce", q=np.float32(0.5))(logits, TARGET), rtol=1e-6)
