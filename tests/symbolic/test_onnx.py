"""Losses as ONNX graphs: what onnxruntime and the reference of ONNX compute from them, against JAX."""

import importlib.util

import numpy as np
import pytest

import jaxloss
from jaxloss.symbolic.describe import describe
from jaxloss.symbolic.onnx import write
from jaxloss.symbolic.onnx.write import write_onnx
from tests.errors import user_error

# Everything that the graph of a loss is made of: pooling, means, softplus, and a space that writes its losses itself.
FORMULAS = {
    "Neg(Mul(target, Log(prediction)))": "autoloss_zero",
    "Tanh(Mean_nhw(Mul(MaxPool3x3(target), Log(MinPool3x3(prediction)))))": "autoloss_zero",
    "t: Mul(Detach(Minus(1, x)), Minus(x, 0.7)) | n: Relu(Gd(Minus(x, Sig(0.25)))) | log2_s: 7.5": "autoloss_gms",
}


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with user_error("the format onnx needs the package onnx, which is not installed", "jaxloss[onnx]"):
        write_onnx(describe([jaxloss.parse("Neg(target)").reading])[0])


@pytest.mark.parametrize("formula", FORMULAS)
def test_values_are_those_of_jax(formula):
    onnx = pytest.importorskip("onnx")
    loss = jaxloss.parse(formula, FORMULAS[formula])
    content = write_onnx(describe([loss.reading])[0], "found here")
    model = onnx.load_from_string(content)
    random = np.random.default_rng(3)
    shape = (5, 4, 3, 2) if len(model.graph.input[0].type.tensor_type.shape.dim) == 4 else (5, 4)
    (names,) = loss.inputs.values()
    arrays = {name: random.uniform(0.05, 0.95, shape).astype(np.float32) for name in names}
    assert {one.name for one in model.graph.input} == set(names)
    wanted = float(loss(**arrays))
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(content)
        np.testing.assert_allclose(session.run(None, arrays)[0], wanted, rtol=1e-5)
    from onnx.reference import ReferenceEvaluator

    np.testing.assert_allclose(ReferenceEvaluator(model).run(None, arrays)[0], wanted, rtol=1e-5)


def test_a_graph_with_other_values_is_not_written(monkeypatch):
    pytest.importorskip("onnx")
    from jaxloss.symbolic.onnx import rules

    wrong = {**rules.RULES, "log": rules.RULES["exp"]}
    monkeypatch.setattr(rules, "RULES", wrong)
    with user_error("the ONNX graph gives", "it is not written"):
        write.write_onnx(describe([jaxloss.parse("Neg(Mul(target, Log(prediction)))").reading])[0])


def test_what_onnx_has_not(monkeypatch):
    pytest.importorskip("onnx")
    from jaxloss.symbolic.onnx import rules

    monkeypatch.setattr(rules, "RULES", {name: rule for name, rule in rules.RULES.items() if name != "log"})
    with user_error("the loss computes log, for which the format onnx has nothing"):
        write.write_onnx(describe([jaxloss.parse("Neg(Mul(target, Log(prediction)))").reading])[0])


def test_a_use_of_a_primitive_that_no_rule_has(monkeypatch):
    pytest.importorskip("onnx")
    from jaxloss.symbolic.onnx import rules

    def refuse(graph, equation, given):
        raise NotImplementedError("in another base")

    monkeypatch.setitem(rules.RULES, "log", refuse)
    with user_error("the loss computes log, in another base, which is not written as ONNX"):
        write.write_onnx(describe([jaxloss.parse("Neg(Mul(target, Log(prediction)))").reading])[0])


@pytest.mark.parametrize("name", ["am_lfs", "cse_autoloss"])
def test_piecewise_losses_and_those_of_several_branches(name):
    onnx = pytest.importorskip("onnx")
    space, random = jaxloss.make_space(name), np.random.default_rng(0)
    text = space.write({branch.name: space.sample(random, branch) for branch in space.branches})
    # It is compared with JAX before it is written.
    model = onnx.load_from_string(write_onnx(describe([jaxloss.parse(text, space).reading])[0]))
    assert len(model.graph.output) == len(space.branches)
