"""Losses in other frameworks: each file compares itself with JAX when it is run; see `make test-frameworks` for the real ones."""

import os
import re
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss.core import meanings
from jaxloss.graphs.graph import Graph, Node
from jaxloss.symbolic.describe import Description
from jaxloss.symbolic.expression import Formula
from jaxloss.symbolic.frameworks.dialect import translate
from jaxloss.symbolic.frameworks.registry import DIALECTS
from jaxloss.symbolic.frameworks.write import write
from jaxloss.symbolic.proposals import RAW
from jaxloss.symbolic.reading import Reading
from jaxloss.symbolic.simplify import Simplified
from tests.errors import user_error
from tests.symbolic.formulas import INPUTS, OPERATOR_SETS, RANGES, random_formula

PYTHON = os.environ.get("JAXLOSS_FRAMEWORKS_PYTHON")
needs_frameworks = pytest.mark.skipif(not PYTHON, reason="JAXLOSS_FRAMEWORKS_PYTHON names no Python with the frameworks")
REAL = ("torch", "keras", "tensorflow")
OF_LABELS = {"classification": {"prediction": meanings.SOFTMAX, "target": meanings.ONE_HOT, "logits": meanings.LOGITS}}


def of_one_operator(operators, operator):
    first, last = INPUTS[operators.name][0], INPUTS[operators.name][-1]
    nodes = [Node(first), Node(last), Node(operator.name, (0, 1)[: operator.arity]), Node("Mul", (0, 2))]
    return Formula(Graph.build(nodes), operators, INPUTS[operators.name], ranges=RANGES)


def readings():
    """Losses of every operator, random ones, and those that a space writes itself."""
    for operators in OPERATOR_SETS:
        formulas = [of_one_operator(operators, operator) for operator in operators.visible]
        for formula in [*formulas, *(random_formula(operators, seed) for seed in range(4))]:
            ranges = {name: RANGES.get(name, (-np.inf, np.inf)) for name in formula.inputs}
            yield Reading(str(formula.graph), {"loss": formula}, inputs={"loss": ranges})
    for name in ("autoloss_gms", "am_lfs"):
        space = jaxloss.make_space(name)
        random = np.random.default_rng(0)
        text = space.write({branch.name: space.sample(random, branch) for branch in space.branches})
        yield jaxloss.parse(text, space).reading


def description_of(reading):
    """Without a simplified form, which takes SymPy a while and is not what is computed."""
    return Description(reading, {name: Simplified(None, RAW) for name in reading.formulas or {}})


@pytest.fixture(scope="module")
def descriptions():
    return [description_of(reading) for reading in readings()]


def run(folder, texts, dialect):
    """Runs each text as a file in one process with the frameworks, and returns how many there were."""
    for number, text in enumerate(texts):
        (folder / f"loss_{number}.py").write_text(text)
    every = "import glob, runpy\nfor path in glob.glob('loss_*.py'):\n    runpy.run_path(path, run_name='__main__')\n"
    environment = {**os.environ, "KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([PYTHON, "-c", every], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.count(DIALECTS[dialect].check_words)


def test_every_operator_can_be_written_for_every_framework(descriptions):
    for description in descriptions:
        source = description.python()
        for dialect in DIALECTS.values():
            text = translate(source, dialect)
            assert not {"jnp", "jax"} & set(re.findall(r"(\w+)\.", text.split('"""', 2)[2]))
            compile(text, "loss.py", "exec")


def values_are_those_of_jax(descriptions):
    for description in descriptions:
        with np.errstate(all="ignore"):
            exec(compile(write(description, DIALECTS["numpy"]), "loss.py", "exec"), {"__name__": "__main__"})


def test_losses_in_numpy_have_the_values_of_jax(descriptions):
    values_are_those_of_jax(descriptions[-3:])


@pytest.mark.slow
def test_every_loss_in_numpy_has_the_values_of_jax(descriptions):
    values_are_those_of_jax(descriptions)


def test_a_file_that_is_wrong_says_so():
    text = jaxloss.parse("Neg(Mul(target, Log(prediction)))").python("numpy")
    with pytest.raises(AssertionError):
        exec(text.replace("np.log(np.abs(x)", "np.log(2 * np.abs(x)"), {"__name__": "__main__"})


@needs_frameworks
@pytest.mark.parametrize("name", REAL)
def test_every_loss_runs_in_the_real_framework(descriptions, name, tmp_path):
    texts = [write(description, DIALECTS[name]) for description in descriptions]
    assert run(tmp_path, texts, name) == len(texts) > 60


def test_whatever_is_no_matter_of_the_framework_stays():
    head = '"""Text with jnp.exp and \N{GREEK SMALL LETTER TAU}."""\n\n{}\n\n\ndef f(x):\n    # why\n'
    source = head.format("import jax\nimport jax.numpy as jnp") + (
        "    y = [jnp.sum(jnp.exp(x[:, i]), axis=-1) for i in range(3)]\n"
        "    return jnp.maximum(y[0], 1) + jax.nn.softplus(x).astype(x.dtype)\n"
    )
    assert translate(source, DIALECTS["torch"]) == head.format("import torch") + (
        "    y = [torch.sum(torch.exp(x[:, i]), dim=-1) for i in range(3)]\n"
        "    return torch.clamp(y[0], min=1) + torch.logaddexp(x, torch.zeros_like(x)).to(x.dtype)\n"
    )
    with user_error("calls jnp.fft.fft, for which the format keras has nothing"):
        translate("import jax.numpy as jnp\nf = jnp.fft.fft", DIALECTS["keras"])


def test_a_class_of_logits_and_labels_where_inputs_are_made_of_them():
    description = description_of(jaxloss.parse("Neg(Mul(target, Log(prediction)))").reading)
    for name in ("torch", "keras"):
        text = write(description, DIALECTS[name], meanings=OF_LABELS)
        assert "class Loss(" in text
        assert "loss_values(" in text.split("class Loss(")[1]
        assert "class Loss(" not in write(description, DIALECTS[name])
        other = {"classification": {**OF_LABELS["classification"], "target": "edges of the labels"}}
        assert "class Loss(" not in write(description, DIALECTS[name], meanings=other)
    assert "class Loss(" not in write(description, DIALECTS["numpy"], meanings=OF_LABELS)


TRIED = {
    "torch": """
logits = torch.tensor(LOGITS).movedim(-1, 1)
labels = torch.tensor(LABELS)
found = [float(Loss(reduction)(logits, labels)) for reduction in ("mean", "sum")]
found += Loss("none")(logits, labels).flatten().tolist()
ignored = labels.clone(); ignored[0] = 7
assert torch.isclose(Loss(ignore_index=7)(logits, ignored), Loss()(logits[1:], labels[1:]), rtol=1e-5)
flat = Loss()(logits[:, :, 0, 0], labels[:, 0, 0])
assert torch.isfinite(flat)
np.testing.assert_allclose(found, WANTED, rtol=1e-5)
""",
    "keras": """
found = Loss()(np.array(LABELS), np.array(LOGITS, "float32"))
np.testing.assert_allclose(ops.convert_to_numpy(found), WANTED[0], rtol=1e-5)
found = Loss(reduction="sum")(np.array(LABELS)[..., None], np.array(LOGITS, "float32"))
np.testing.assert_allclose(ops.convert_to_numpy(found), WANTED[1], rtol=1e-5)
""",
}


@needs_frameworks
@pytest.mark.parametrize("name", TRIED)
def test_the_class_is_the_loss(name, tmp_path):
    loss = jaxloss.parse("Add(Neg(Mul(target, Log(prediction))), MaxPool3x3(Square(prediction)))")
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(2, 3, 4, 5)).astype(np.float32), random.integers(5, size=(2, 3, 4))
    prediction, target = jnp.exp(logits) / jnp.exp(logits).sum(-1, keepdims=True), jnp.eye(5)[labels]
    scope = {}
    exec(loss.python(), scope)
    each = np.asarray(scope["loss_values"](prediction, target)).sum(-1)
    wanted = [float(loss(prediction, target)), float(each.sum()), *each.ravel().tolist()][: None if name == "torch" else 2]
    description = description_of(loss.reading)
    numbers = f"\nimport numpy as np\nLOGITS, LABELS, WANTED = {logits.tolist()}, {labels.tolist()}, {wanted}\n"
    text = write(description, DIALECTS[name], meanings=OF_LABELS) + numbers + TRIED[name]
    assert run(tmp_path, [text], name) == 1
