"""Hand-crafted losses as code: the module for JAX is the loss that trainings use, and other frameworks have its values."""

import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss.spaces.families import FAMILIES, branch_families
from jaxloss.study.handcrafted_export import reading_of_handcrafted
from jaxloss.symbolic.describe import Description
from jaxloss.symbolic.frameworks.registry import DIALECTS
from jaxloss.symbolic.frameworks.self_check import arrays_of
from jaxloss.symbolic.frameworks.write import write
from tests.errors import user_error
from tests.symbolic.test_frameworks import REAL, needs_frameworks, run

# They look around a position with what is written for JAX and speed.
NOT_CODE = ("boundary_cross_entropy", "structural_similarity")
# They sort, or count in bins.
JAX_ALONE = ("lovasz_softmax", "ghm")
WRITTEN = sorted(FAMILIES.keys() - set(NOT_CODE))
FEW = ("cross_entropy", "gce", "balanced_softmax", "soft_f1", "arcface", "giou", "huber")


def description_of(name, **changed):
    family = FAMILIES[name]
    return Description(reading_of_handcrafted(family, {**family.defaults, **changed}), {})


def module_of(source):
    module = types.ModuleType("loss")
    exec(compile(source, "loss.py", "exec"), module.__dict__)
    return module


def is_the_loss(name):
    """Values and gradients, with a void position and weights, and with other hyper-parameters than the customary ones."""
    changed = {key: (span.default + span.high) / 2 for key, span in FAMILIES[name].tuning_ranges.items()}
    description, wanted = description_of(name, **changed), jaxloss.loss(name, **changed)
    module = module_of(description.python())
    ((ranges),) = description.reading.inputs.values()
    shape = (2, 3, 2, description.reading.num_channels or 3)
    arrays = {key: jnp.asarray(array, jnp.float32) for key, array in arrays_of(ranges, shape).items()}
    first = next(iter(arrays))
    further = {"mask": jnp.ones(shape[:3], bool).at[0, 0, 0].set(False), "weights": jnp.linspace(0.5, 2, 12).reshape(shape[:3])}
    for ours, theirs in zip(
        *(jax.value_and_grad(lambda x, f=f: f(**{**arrays, first: x}, **further))(arrays[first]) for f in (module.loss, wanted)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", FEW)
def test_a_module_is_the_loss(name):
    is_the_loss(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(WRITTEN) - set(FEW)))
def test_every_module_is_the_loss(name):
    is_the_loss(name)


@pytest.mark.parametrize("name", FEW)
def test_losses_in_numpy_have_the_values_of_jax(name):
    exec(compile(write(description_of(name), DIALECTS["numpy"]), "loss.py", "exec"), {"__name__": "__main__"})


def test_every_loss_is_written_for_frameworks_that_are_not_here():
    """Also where nobody has installed one: what has no words there is met as it is written."""
    for name in sorted(set(WRITTEN) - {*JAX_ALONE, "soft_argmax"}):
        compile(write(description_of(name), DIALECTS["torch"]), name, "exec")


@needs_frameworks
@pytest.mark.parametrize("framework", REAL)
def test_every_loss_runs_in_the_real_framework(framework, tmp_path):
    left_out = {*JAX_ALONE, *({"soft_argmax"} if framework != "keras" else ())}
    texts = [write(description_of(name), DIALECTS[framework]) for name in WRITTEN if name not in left_out]
    assert run(tmp_path, texts, framework) == len(texts) > 30


def test_a_loss_of_several_branches_has_a_function_for_each():
    family = branch_families("box: giou | class: sigmoid_focal", {"box": 2.0, "class": 1.0})
    reading = reading_of_handcrafted(family, {"class.gamma": 1.5, "class.alpha": 0.25})
    source = Description(reading, {}).python()
    module, focal = module_of(source), jaxloss.loss("sigmoid_focal", gamma=1.5, alpha=0.25)
    logits, target = jnp.array([[0.5, -1.0]]), jnp.array([[1.0, 0.0]])
    assert module.loss_class(logits, target) == pytest.approx(float(focal(logits, target)), rel=1e-6)
    assert module.loss_box(*jnp.array([[[1.0]], [[2.0]], [[4.0]]])) == pytest.approx(1 - 0.5 + 0.5)


def test_what_cannot_be_written_says_why():
    with user_error("structural_similarity cannot be written as code: it calls the module np"):
        description_of("structural_similarity").python()
    with user_error("boundary_cross_entropy cannot be written as code: it calls differs_from_neighbour"):
        description_of("boundary_cross_entropy").python()
    with user_error("calls jnp.argsort, for which the format torch has nothing"):
        jaxloss.loss("lovasz_softmax").python("torch")


def test_a_loss_by_name_is_written_for_a_framework():
    assert "Q = 0.3" in jaxloss.loss("gce", q=0.3).python("torch")


def test_imports_stand_in_the_order_that_tools_give_them(tmp_path):
    """Those of the standard library first; a formula with the error function needs `jax.scipy`."""
    losses = {
        "gce": jaxloss.loss("gce"),
        "formula": jaxloss.parse("Neg(Erf(logits))", "cse_autoloss", branches=("classification",)),
    }
    for name, one in losses.items():
        for framework in ("jax", *DIALECTS):
            (tmp_path / f"{name}_{framework}.py").write_text(one.python(framework))
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=I,E402", str(tmp_path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert "\nimport collections\n\nimport jax\n" in losses["gce"].python()
