"""Symbolic forms: what is shown of a loss is the loss, and what cannot be shown to be is not shown."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss import export
from jaxloss.config import default_config
from jaxloss.config.stored import stored_space
from jaxloss.core.errors import UserError
from jaxloss.core.reduce import mean_loss
from jaxloss.core.types import LossInputs
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.formula import parse
from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import Layout, encode
from jaxloss.runs.directory import RunDirectory
from jaxloss.runs.rows import CandidateRow
from jaxloss.search.loop import WHOLE
from jaxloss.symbolic import symbols
from jaxloss.symbolic.client import SimplificationWorker
from jaxloss.symbolic.describe import Description, describe, describe_formula
from jaxloss.symbolic.expression import Formula, sympy_text, to_expression
from jaxloss.symbolic.proposals import RAW
from jaxloss.symbolic.python_source import to_python
from jaxloss.symbolic.reading import Reading
from jaxloss.symbolic.render import to_latex
from jaxloss.symbolic.simplify import Simplified, simplify
from jaxloss.symbolic.verify import Claim, sample_inputs, verify
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.autoloss_zero.published import AUTOLOSS_ZERO_FORMULAS
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS
from jaxloss.tasks.base import STORED_RANGES

OPERATOR_SETS = (AUTOLOSS_ZERO, AUTOLOSS_GMS, CSE_AUTOLOSS)
INPUTS = {"autoloss_zero": ("prediction", "target"), "autoloss_gms": ("cosine",), "cse_autoloss": ("logits", "target")}
BOXES = ("intersection", "union", "enclosing")
RANGES = {"prediction": (0, 1), "target": (0, 1), "cosine": (-1, 1), **dict.fromkeys(BOXES, (0, np.inf))}
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def zero(text: str, inputs=INPUTS["autoloss_zero"]) -> Formula:
    return Formula(parse(text, AUTOLOSS_ZERO, inputs), AUTOLOSS_ZERO, inputs, ranges=RANGES)


def random_formula(operators, seed: int) -> Formula:
    """A random graph of up to eight operators, with shared nodes and the constant 1."""
    generator = np.random.default_rng(seed)
    inputs = INPUTS[operators.name]
    nodes = [Node(name) for name in inputs] + [constant(1)]
    for _ in range(generator.integers(3, 9)):
        operator = operators.visible[generator.integers(len(operators.visible))]
        recent = [max(0, len(nodes) - 1 - int(back)) for back in generator.geometric(0.4, size=operator.arity) - 1]
        nodes.append(Node(operator.name, tuple(recent)))
    return Formula(Graph.build(nodes), operators, inputs, ranges=RANGES)


# --- simplification ------------------------------------------------------------------------------------------------------------

PAPER_SHAPES = {
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_global_accuracy"]: "exp((target - sqrt(prediction))**2)",
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_classification"]: "-target*log(prediction)",
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_rpn_classification"]: "exp(tanh(target))/prediction",
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_pose"]: "(prediction - 16*target**4)**2 + prediction**4",
    AUTOLOSS_ZERO_FORMULAS["autoloss_zero_bf1"]: (
        "exp(Mean_nhw(-MaxPool3x3(target)*log(MaxPool3x3(prediction))) + tanh(Mean_nhw(2*prediction + 1)))"
    ),
    # What the paper removed by hand: squares of one, absolute values and signs of what is positive; and 1 + 1.
    "Mul(Square(Square(1)), Abs(Exp(Abs(Mul(Add(1, 1), prediction)))))": "exp(2*prediction)",
    "Abs(Log(prediction))": "-log(prediction)",
    "Sqrt(Mean_nhw(Neg(Log(prediction))))": "sqrt(Mean_nhw(-log(prediction)))",
    # Factors and constants of the whole loss stay: the value must agree.
    "Add(Mul(Add(1, 1), Mul(target, prediction)), 1)": "2*target*prediction + 1",
    # The paper prints this without epsilon; but near 0, where the slope of p/tanh(p) vanishes, the slope is epsilon's.
    "Neg(Mul(Mul(target, prediction), Inv(Tanh(prediction))))": "-target*prediction/(tanh(prediction) + epsilon)",
    # Here epsilon decides: without it the loss is NaN where the target is 0. It goes only from the inner logarithm.
    "Log(Mul(target, Abs(Log(prediction))))": "sign(target)*log(-target*log(prediction) + epsilon)",
}


def test_formulas_get_the_shape_that_the_paper_prints():
    boxes = {
        "Neg(Log(Mul(intersection, Inv(enclosing))))": "-log(intersection/enclosing)",
        "Mul(enclosing, Inv(Add(intersection, union)))": "enclosing/(intersection + union)",
        "Neg(Mul(Sqrt(intersection), Inv(Sqrt(enclosing))))": "-sqrt(intersection)/sqrt(enclosing)",
    }
    formulas = [zero(text) for text in PAPER_SHAPES] + [zero(text, BOXES) for text in boxes]
    expected = [*PAPER_SHAPES.values(), *boxes.values()]
    for formula, text, found in zip(formulas, expected, simplify(formulas), strict=True):
        wanted = symbols.read(text, formula.input_ranges)
        assert found.verified, (text, found)
        assert (found.expression - wanted).expand() == 0, (text, found)


def test_a_proposal_with_another_value_or_gradient_is_refused():
    formula = zero("Neg(Mul(target, Log(prediction)))")

    def read(text):
        return symbols.read(text, formula.input_ranges)

    proposals = {
        "-target*log(prediction)": True,
        "-target*log(prediction) + 1/100000": False,
        "-2*target*log(prediction)": False,
        "-target*Detach(log(prediction))": False,  # the same value, no gradient
        "-log(prediction)**target + 1": False,
        "-target*log(prediction)*target/target": True,  # SymPy cancels before anything is computed
        "-target*log(prediction*target)": False,  # NaN where the target is 0
        "-target*gamma(prediction)": False,  # no JAX form
    }
    (accepted,) = verify([Claim(formula, tuple(read(text) for text in proposals))])
    assert dict(zip(proposals, accepted, strict=True)) == proposals


def test_nothing_is_accepted_where_nothing_can_be_compared():
    nowhere_finite = Formula(parse("Log(Neg(Exp(cosine)))", AUTOLOSS_GMS, ("cosine",)), AUTOLOSS_GMS, ("cosine",))
    proposals = (to_expression(nowhere_finite), symbols.read("log(-1 - cosine**2)", nowhere_finite.input_ranges))
    (accepted,) = verify([Claim(nowhere_finite, proposals)])
    assert accepted == [False, False]


def test_the_domain_decides_what_may_be_assumed():
    """|target| is the target only where the task says that targets are not negative."""
    inputs, text = INPUTS["autoloss_zero"], "Square(Add(Abs(target), Neg(prediction)))"
    declared, undeclared, negative = (
        Formula(parse(text, AUTOLOSS_ZERO, inputs), AUTOLOSS_ZERO, inputs, ranges=ranges)
        for ranges in (RANGES, {}, {"target": (-np.inf, 0)})
    )
    found = {formula.domain: str(one.expression) for formula in (declared, undeclared, negative) for one in simplify([formula])}
    assert found == {
        "prediction in (0, 1), target in [0, 1]": "(prediction - target)**2",
        "any real prediction, any real target": "(prediction - Abs(target))**2",
        "any real prediction, target in (-inf, 0]": "(prediction + target)**2",
    }
    (accepted,) = verify([Claim(undeclared, (symbols.read("(prediction - target)**2", declared.input_ranges),))])
    assert accepted == [False]


def test_samples_cover_the_domain():
    texts = {"target": (-np.inf, np.inf), "a": (-np.inf, np.inf), "b": (0, 1), "c": (2, np.inf), "d": (-np.inf, -1)}
    formula = Formula(parse("Add(target, a)", AUTOLOSS_ZERO, tuple(texts)), AUTOLOSS_ZERO, tuple(texts), ranges=texts)
    with jax.enable_x64(True):
        samples = jax.tree.map(np.asarray, dict(sample_inputs(formula).arrays))
    for name in ("target", "a"):
        sizes = np.abs(samples[name])
        assert min(np.sum(samples[name] < -10), np.sum(samples[name] > 10), np.sum((sizes > 0) & (sizes < 0.01))) > 10
    assert np.sum(samples["target"] == 0) > 10
    for name in "abcd":
        assert np.all((samples[name] > texts[name][0]) & (samples[name] < texts[name][1]) & (samples[name] != 0)), name
    (one_hot,) = (sample_inputs(zero("target")).arrays["target"],)
    assert np.sum(one_hot == 0) > np.sum(one_hot == 1) > np.sum((one_hot > 0.9) & (one_hot < 1)) > 10


@pytest.mark.parametrize("operators", OPERATOR_SETS, ids=lambda operators: operators.name)
def test_random_formulas_are_simplified_or_left_alone(operators):
    formulas = [random_formula(operators, seed) for seed in range(4)]
    descriptions = describe([Reading(str(formula.graph), {"loss": formula}) for formula in formulas], time_limit=1)
    claims = []
    for formula, description in zip(formulas, descriptions, strict=True):
        assert parse(description.text, operators, formula.inputs).merged() == formula.graph.merged()
        if description.simplified["loss"].verified:
            # Reading a text may evaluate what SymPy had left alone, hence a comparison by value.
            claims.append(Claim(formula, (symbols.read(description.sympy, formula.input_ranges),)))
    assert len(claims) >= 2
    assert verify(claims) == [[True]] * len(claims)


# --- the worker process --------------------------------------------------------------------------------------------------------


def run_python(*arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(jaxloss.__file__).parents[1])}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment)


def planted(script: str) -> SimplificationWorker:
    head = "import json, sys, time\ndef say(**c): print(json.dumps(c), flush=True)\nsay(ready=True)\nfor line in sys.stdin:\n"
    return SimplificationWorker([sys.executable, "-c", head + "".join(f"    {line}\n" for line in script.splitlines())])


def test_a_wrong_simplification_from_the_worker_is_refused():
    with planted("say(method='without epsilon', text='target*log(prediction)')\nsay(done=True)") as worker:
        (found,) = simplify([zero("Neg(Mul(target, Log(prediction)))")], worker=worker)
    assert found == Simplified(None, RAW, refused=("target*log(prediction)",))


def test_a_hanging_simplification_is_stopped_and_reported():
    formula = zero("Neg(Mul(target, Log(prediction)))")
    with planted("time.sleep(60)") as worker:
        started = time.monotonic()
        proposals, note = worker.ask({"text": sympy_text(formula), "ranges": {}, "epsilon": 1e-12}, time_limit=0.3)
        assert (proposals, note) == ([], "the time limit of 0.3 s was reached")
        (found,) = simplify([formula], time_limit=0.3, worker=worker)
        assert time.monotonic() - started < 10
    assert found.method == RAW
    assert not found.verified
    assert "0.3 s" in found.note


def test_what_came_before_the_time_limit_is_used():
    with planted("say(method='without epsilon', text='-target*log(prediction)')\ntime.sleep(60)") as worker:
        (found,) = simplify([zero("Neg(Mul(target, Log(prediction)))")], time_limit=0.3, worker=worker)
    assert str(found.expression) == "-target*log(prediction)"
    assert "time limit" in found.note


def test_the_next_formula_gets_a_new_worker_when_one_died():
    with planted("sys.exit(1) if 'prediction' in line else say(error='no')") as worker:
        assert worker.ask({"text": "prediction"}, 5) == ([], "the worker process died")
        assert worker.ask({"text": "target"}, 5) == ([], "no")


def test_an_error_in_sympy_leaves_the_worker_alive():
    with SimplificationWorker() as worker:
        proposals, note = worker.ask({"text": "1 +", "ranges": {}, "epsilon": None}, 20)
        assert proposals == []
        assert "SympifyError" in note
        assert worker.ask({"text": "1 + 1", "ranges": {}, "epsilon": None}, 20) == ([("simplified", "2")], "")


def test_the_worker_loads_no_jax():
    code = "import sys, jaxloss.symbolic.worker; sys.exit('jax' in sys.modules)"
    assert run_python("-c", code).returncode == 0


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from jaxloss.graphs.formula import parse\n"
        "from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO\n"
        "from jaxloss.symbolic.describe import describe_formula\n"
        "inputs = ('prediction', 'target')\n"
        "print(describe_formula(parse('Abs(Abs(prediction))', AUTOLOSS_ZERO, inputs), AUTOLOSS_ZERO, inputs).simplified_text)\n"
    )
    done = run_python(str(script))
    assert (done.returncode, done.stdout) == (0, "Abs(prediction)\n"), done.stderr


def test_a_graph_that_is_huge_as_a_tree_stays_as_it_is():
    nodes = [Node("cosine")]
    for index in range(40):
        nodes.append(Node("Mul", (index, index)))
    huge = Formula(Graph.build(nodes), AUTOLOSS_GMS, ("cosine",))
    (found,) = simplify([huge])
    assert found.method == RAW
    assert "too large" in found.note
    assert len(to_latex(huge, found)) < 2000
    with pytest.raises(ValueError, match="more than 2000 nodes"):
        to_expression(huge)


# --- rendering -----------------------------------------------------------------------------------------------------------------


def test_latex_can_be_drawn():
    mathtext = pytest.importorskip("matplotlib.mathtext")
    formulas = [zero(text) for text in AUTOLOSS_ZERO_FORMULAS.values()]
    formulas += [random_formula(operators, seed) for operators in OPERATOR_SETS for seed in range(3)]
    parser = mathtext.MathTextParser("path")
    for formula in formulas:
        for simplified in (Simplified(None, RAW), Simplified(to_expression(formula), "simplified")):
            parser.parse(f"${to_latex(formula, simplified)}$")


def test_latex_uses_the_letters_of_the_papers():
    formula = zero("Mul(target, Mean_nhw(Exp(prediction)))")
    found = Simplified(symbols.read("target*Mean_nhw(exp(prediction))", formula.input_ranges), "simplified")
    assert to_latex(formula, found) == r"y \mathrm{Mean}_{nhw}\left(\exp\left(\hat{y}\right)\right)"
    inputs = INPUTS["cse_autoloss"]
    dot = Formula(parse("Dot(Add(logits, 1), target)", CSE_AUTOLOSS, inputs), CSE_AUTOLOSS, inputs)
    assert to_latex(dot, Simplified(None, RAW)) == r"\left(\left(x + 1\right)\right)^{\top} y"


# --- Python source -------------------------------------------------------------------------------------------------------------


def load(text: str, folder) -> types.ModuleType:
    """Imports the text as a file, after a look at what it imports itself."""
    imported = {
        alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names
    }
    assert imported <= {"jax", "jax.numpy", "jax.scipy.special"}, imported
    path = folder / f"loss_{abs(hash(text))}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


# --- the export command --------------------------------------------------------------------------------------------------------

CROSS_ENTROPY, SECOND = "Neg(Mul(target, Log(prediction)))", "Square(Add(target, Neg(prediction)))"


@pytest.fixture
def run(tmp_path):
    """A run without a summary: three scores for two losses, one loss without a score, and the row of a mere branch."""
    rows = [
        (WHOLE, SECOND, "b", 0.5),
        (WHOLE, CROSS_ENTROPY, "a", 0.9),
        (WHOLE, CROSS_ENTROPY, "a", 0.8),
        (WHOLE, "Abs(prediction)", "c", None),
        ("classification", "Abs(prediction)", "c", 1.0),
    ]
    common = {"search": "evolution", "attempt": 0, "origin": "random", "reason": "accepted"}
    with RunDirectory.open(tmp_path / "run", default_config().to_dict()) as directory:
        directory.archive.commit(
            candidates=[
                CandidateRow(proposal=index, branch=branch, formula=text, key=key, score=score, **common)
                for index, (branch, text, key, score) in enumerate(rows)
            ],
            state={STORED_RANGES: {"classification": {"prediction": (0, 1), "target": (0, 1)}}},
        )
    return directory.path


def test_export_ranks_an_unfinished_run_by_its_archive(run, capsys):
    assert export.main([str(run), "--format=text"]) == 0
    printed = f"{CROSS_ENTROPY}\n-target*log(prediction)\nsimplified for prediction in (0, 1), target in [0, 1]\n"
    assert capsys.readouterr().out == printed
    assert export.main([str(run), "--rank=2", "--format=sympy"]) == 0
    assert symbols.read(capsys.readouterr().out, RANGES) == symbols.read("(prediction - target)**2", RANGES)


def test_export_of_a_run_without_ranges_assumes_nothing(tmp_path, capsys):
    with RunDirectory.open(tmp_path / "run", default_config().to_dict()) as directory:
        directory.write_summary({"ranking": [{"rank": 1, "formula": "Abs(Abs(prediction))", "search_eval": 0.7}]})
    assert export.main([str(directory.path), "--format=text"]) == 0
    assert capsys.readouterr().out == "Abs(Abs(prediction))\nAbs(prediction)\nsimplified for any real prediction\n"


def test_export_reads_the_ranking_of_the_summary_and_writes_a_file(run, tmp_path, capsys):
    tuned = {"learning_rate": 0.22361, "hyperparameters": {"log2_s": 2.6667}}
    ranking = [{"rank": 1, "formula": SECOND, "search_eval": 0.7, "tuned": tuned}, {"rank": 2, "formula": CROSS_ENTROPY}]
    (run / "summary.json").write_text(json.dumps({"ranking": ranking}))
    output = tmp_path / "loss.py"
    assert export.main([str(run), "--output", str(output)]) == 0
    assert capsys.readouterr().out == ""
    module = load(output.read_text(), tmp_path)
    assert "rank 1 of 2" in module.__doc__
    assert "Tuned for the comparison of that run: learning_rate 0.2236, log2_s 2.667." in module.__doc__
    assert "for prediction in (0, 1), target in [0, 1]: (prediction - target)**2" in module.__doc__
    assert "0.7" in module.__doc__
    np.testing.assert_allclose(module.loss(jnp.full((2, 3), 0.5), jnp.ones((2, 3))), 0.75)
    assert export.main([str(run), "--rank=2", "--format=latex"]) == 0
    assert capsys.readouterr().out == "- y \\log{\\left(\\hat{y} \\right)}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rank=3"], "has 2 ranked losses"),
        (["--rank=0"], "has 2 ranked losses"),
        (["--format=pyton"], "unknown format 'pyton'. Did you mean 'python'?"),
        (["--time_limit=0"], "time_limit must be a number of seconds above 0, not 0"),
        (["--time_limit=nan"], "time_limit must be a number of seconds above 0, not nan"),
        (["--rank=first"], "argument --rank: invalid int value: 'first'. usage: python -m jaxloss.export"),
        (["--output=/no/such/folder/loss.py"], "cannot write '/no/such/folder/loss.py'"),
    ],
)
def test_export_reports_mistakes_in_one_line(run, capsys, arguments, message):
    assert export.main([str(run), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_export_needs_a_run(tmp_path, capsys):
    assert export.main([str(tmp_path / "nothing")]) == 2
    assert "is not the directory of a run" in capsys.readouterr().err
    with pytest.raises(UserError, match="not the directory of a run"):
        stored_space(tmp_path)
