"""The space of AutoLoss-GMS: random graphs, mutations, offspring, and the loss that a candidate is."""

import collections
import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.config.plan import make_contender
from jaxloss.core.errors import UserError
from jaxloss.core.types import LossInputs
from jaxloss.graphs.graph import Graph
from jaxloss.spaces.families import FAMILIES
from jaxloss.spaces.handcrafted_margin import MARGIN_FAMILIES
from jaxloss.study.contender import GIVEN
from jaxloss.systems.autoloss_gms import dags
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from jaxloss.systems.autoloss_gms.published import AUTOLOSS_GMS_FORMULAS, MARGIN_SOFTMAX_FORMULAS
from jaxloss.systems.autoloss_gms.settings import AutoLossGMSSettings
from jaxloss.systems.autoloss_gms.space import autoloss_gms

SPACE = autoloss_gms()
(BRANCH,) = SPACE.branches
FORM = BRANCH.form
FORMULAS = {**AUTOLOSS_GMS_FORMULAS, **MARGIN_SOFTMAX_FORMULAS}
VOCABULARY = dags.Vocabulary(AUTOLOSS_GMS.visible, "x", (0.1, 0.2, 0.3), num_constants=2, max_operators=10)


def cosines(num_samples=6, num_classes=5, seed=0):
    random = np.random.default_rng(seed)
    cosine = random.uniform(-0.95, 0.95, (num_samples, 1, 1, num_classes)).astype(np.float32)
    target = np.eye(num_classes, dtype=np.float32)[random.integers(0, num_classes, num_samples)][:, None, None]
    return cosine, target


def inputs_of(cosine, target):
    return LossInputs.create({"cosine": jnp.asarray(cosine), "target": jnp.asarray(target)})


# --- the loss ------------------------------------------------------------------------------------------------------------------

CURVES = {  # by hand: t, n, and what their gradients are taken of is the same, as nothing is detached
    "autoloss_gms_zero": (lambda x: (0.22 + np.exp(np.sqrt(0.22))) * x + np.arcsin(0.22) ** 2, lambda x: x + 0.85, 5.5),
    "autoloss_gms_a": (lambda x: (1 - x) * (x - 0.7), lambda x: np.maximum(gd(x - 1 / (1 + np.exp(-0.25))), 0), 7.5),
    "autoloss_gms_b": (lambda x: (1.3 - x) * (x - 1.0), lambda x: 0.35 * x - 0.35**2, 6.0),
    "autoloss_gms_c": (
        lambda x: (x - 0.84) * (0.95 - x),
        lambda x: np.maximum(np.arcsin(x), 0) * (x - 0.5) + 0.05,
        7.5,
    ),
    "autoloss_gms_d": (lambda x: x + 0.15, lambda x: x + 0.2, 4.0),
    "autoloss_gms_cub": (
        lambda x: (1.4 - x) * (x - 0.5),
        lambda x: 0.3 + (0.05 + x * np.maximum(np.sin(x), 0)) ** 2,
        6.5,
    ),
}


def gd(x):
    return 2 * np.arctan((np.exp(x / 2) - np.exp(-x / 2)) / (np.exp(x / 2) + np.exp(-x / 2)))


@pytest.mark.parametrize("name", CURVES)
def test_published_losses_have_the_values_of_table_3(name):
    """Against the softmax written out in NumPy, float64."""
    own, other, log2_scale = CURVES[name]
    cosine, target = cosines()
    wanted = []
    for row, label in zip(cosine[:, 0, 0].astype(float), target[:, 0, 0].argmax(-1), strict=True):
        logits = 2.0**log2_scale * np.array([own(x) if k == label else other(x) for k, x in enumerate(row)])
        wanted.append(np.log(np.sum(np.exp(logits - logits.max()))) + logits.max() - logits[label])
    values = FORM.values(FORM.encode(FORM.parse(FORMULAS[name])), inputs_of(cosine, target))
    assert values.shape == (6, 1, 1, 1)
    np.testing.assert_allclose(values.reshape(-1), wanted, rtol=2e-5, atol=2e-5)


# By hand: the slopes of t and n that train, with detached factors as constants.
SLOPES = {
    "autoloss_gms_zero": (lambda x: 0.22 + np.exp(np.sqrt(0.22)) + 0 * x, lambda x: 1 + 0 * x),
    "autoloss_gms_a": (lambda x: 1 - x, lambda x: (x > 1 / (1 + np.exp(-0.25))) / np.cosh(x - 1 / (1 + np.exp(-0.25)))),
    "autoloss_gms_b": (lambda x: 1.3 - x, lambda x: 0.35 + 0 * x),
    "autoloss_gms_c": (lambda x: 0.84 + 0.95 - 2 * x, lambda x: np.maximum(np.arcsin(x), 0)),
    "autoloss_gms_d": (lambda x: 1 + 0 * x, lambda x: 1 + 0 * x),
    "autoloss_gms_cub": (lambda x: 1.4 - x, lambda x: 2 * (0.05 + x * np.maximum(np.sin(x), 0)) * np.maximum(np.sin(x), 0)),
}


def test_published_losses_detach_what_table_3_detaches():
    """Their values do not show it; at a scale of 1 their gradients do."""
    cosine, target = cosines(num_samples=20)
    losses = [FORM.compile(dataclasses.replace(FORM.parse(FORMULAS[name]), log2_scale=0.0)) for name in SLOPES]
    gradients = jax.jit(lambda x: [jax.grad(lambda x, one=one: one(inputs_of(x, target)).sum())(x) for one in losses])(cosine)
    x = cosine.astype(float)
    for name, gradient in zip(SLOPES, gradients, strict=True):
        (own, other, _), (own_slope, other_slope) = CURVES[name], SLOPES[name]
        logits = np.where(target > 0, own(x), other(x))
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        wanted = np.where(target > 0, -own_slope(x) * (1 - p), other_slope(x) * p)
        np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5, err_msg=name)


def test_interpreted_and_compiled_forms_agree_in_value_and_gradient():
    cosine, target = cosines()
    candidates = [FORM.parse(text) for text in FORMULAS.values()]
    candidates += [SPACE.sample(np.random.default_rng(seed), BRANCH) for seed in range(12)]

    def both(cosine):
        def outcome(values):
            return jax.value_and_grad(lambda x: values(inputs_of(x, target)).sum())(cosine)

        interpreted = jax.vmap(outcome_of_encoded, in_axes=(0, None))(stacked, cosine)
        return interpreted, [outcome(FORM.compile(candidate)) for candidate in candidates]

    def outcome_of_encoded(encoded, cosine):
        return jax.value_and_grad(lambda x: FORM.values(encoded, inputs_of(x, target)).sum())(cosine)

    stacked = jax.tree.map(lambda *rows: jnp.stack(rows), *map(FORM.encode, candidates))
    (values, gradients), compiled = jax.jit(both)(jnp.asarray(cosine))
    for index, (value, gradient) in enumerate(compiled):
        np.testing.assert_allclose(values[index], value, rtol=1e-5, equal_nan=True)
        np.testing.assert_allclose(gradients[index], gradient, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_gradient_is_the_papers_with_the_correction():
    """Eq. 18: minus s t'(cos_y)(1 - p_y) for the own class, and s n'(cos_i) p_i for the others (misprinted as 1 - p_i)."""
    cosine, target = cosines()
    encoded = FORM.encode(FORM.parse("t: Square(x) | n: Exp(x) | log2_s: 2"))
    gradient = jax.grad(lambda x: FORM.values(encoded, inputs_of(x, target)).sum())(jnp.asarray(cosine))
    logits = 4.0 * np.where(target > 0, cosine**2, np.exp(cosine))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = np.where(target > 0, -4 * 2 * cosine * (1 - p), 4 * np.exp(cosine) * p)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5)


def test_a_pole_of_one_curve_does_not_reach_cosines_that_the_other_is_for():
    """sqrt(x - 0.5) has an infinite slope, or none at all, where n would be taken of the own class."""
    cosine = np.array([[[[0.5, -0.3, 0.9]]]], np.float32)
    target = np.array([[[[0.0, 1.0, 0.0]]]], np.float32)
    encoded = FORM.encode(FORM.parse("t: x | n: Sqrt(Minus(x, 0.4)) | log2_s: 2"))
    value, gradient = jax.value_and_grad(lambda x: FORM.values(encoded, inputs_of(x, target)).sum())(jnp.asarray(cosine))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert gradient[0, 0, 0, 1] == pytest.approx(-4, rel=0.2)


def test_pair_wise_form_is_equation_20():
    random = np.random.default_rng(1)
    similarity = random.uniform(-0.9, 0.9, (4, 1, 1, 6)).astype(np.float32)
    same = (random.random((4, 1, 1, 6)) < 0.5).astype(np.float32)
    values = FORM.values(FORM.encode(FORM.parse("t: Minus(x, 0.2) | n: Square(x) | log2_s: 3")), inputs_of(similarity, same))
    for index in range(4):
        own, row = same[index, 0, 0] > 0, similarity[index, 0, 0].astype(float)
        wanted = np.log1p(np.exp(8 * row[~own] ** 2).sum() * np.exp(-8 * (row[own] - 0.2)).sum())
        assert float(values[index, 0, 0, 0]) == pytest.approx(wanted, rel=1e-5)


def test_a_sample_without_a_partner_costs_nothing_and_has_no_gradient():
    similarity, same = jnp.full((1, 1, 1, 3), 0.3), jnp.zeros((1, 1, 1, 3))
    encoded = FORM.encode(FORM.parse("t: x | n: x | log2_s: 3"))
    value, gradient = jax.value_and_grad(lambda x: FORM.values(encoded, inputs_of(x, same)).sum())(similarity)
    assert value == 0
    assert not np.asarray(gradient).any()


PRIORS = {"normalised_softmax": {}, "cosface": {"margin": 0.35}, "circle": {"margin": 0.25}}


@pytest.mark.parametrize("name", PRIORS)
def test_prior_formulas_are_the_hand_crafted_losses(name):
    cosine, target = cosines()
    expression = FORM.parse(MARGIN_SOFTMAX_FORMULAS[name])
    hyperparameters = {**PRIORS[name], "log2_s": expression.log2_scale}

    def outcome(loss):
        return jax.value_and_grad(lambda x: loss(inputs_of(x, target)).sum())(jnp.asarray(cosine))

    ours = outcome(lambda inputs: FORM.values(FORM.encode(expression), inputs))
    theirs = outcome(lambda inputs: FAMILIES[name].values(inputs, **hyperparameters))
    chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_hand_crafted_margins_by_their_formulas():
    """ArcFace turns the angle up to the guard and is linear beyond; SphereFace falls over the whole range of angles."""
    angles = np.linspace(0.01, np.pi - 0.01, 400)
    cosine = np.stack([np.cos(angles), np.full(400, -0.5)], axis=1).astype(np.float32)[:, None, None]
    target = np.broadcast_to(np.array([1.0, 0.0], np.float32), cosine.shape)

    def own_curve(name, **hyperparameters):
        values = MARGIN_FAMILIES[name].values(inputs_of(cosine, target), log2_s=jnp.float32(0), **hyperparameters)
        return -np.log(np.expm1(np.asarray(values).reshape(-1).astype(float))) - 0.5  # loss = log(1 + e^{-0.5 - t})

    arcface = own_curve("arcface", margin=jnp.float32(0.5))
    turned = angles < np.pi - 0.5
    np.testing.assert_allclose(arcface[turned], np.cos(angles[turned] + 0.5), atol=2e-3)
    np.testing.assert_allclose(arcface[~turned], np.cos(angles[~turned]) - 0.5 * np.sin(0.5), atol=2e-3)
    sphereface = own_curve("sphereface", margin=jnp.float32(3.0))
    assert (np.diff(sphereface) < 1e-3).all()
    np.testing.assert_allclose(sphereface[angles < np.pi / 3], np.cos(3 * angles[angles < np.pi / 3]), atol=2e-3)


@pytest.mark.parametrize("name", MARGIN_FAMILIES)
def test_hand_crafted_margins_have_finite_gradients_at_the_ends(name):
    cosine = np.array([[[[1.0, -1.0, 0.0]]], [[[-1.0, 1.0, 0.0]]]], np.float32)
    target = np.array([[[[1.0, 0.0, 0.0]]], [[[1.0, 0.0, 0.0]]]], np.float32)
    family = MARGIN_FAMILIES[name]
    hyperparameters = family.encode(family.defaults)
    gradient = jax.grad(lambda x: family.values(inputs_of(x, target), **hyperparameters).sum())(jnp.asarray(cosine))
    assert np.isfinite(gradient).all()


# --- the text form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMULAS)
def test_text_form_comes_back(name):
    expression = FORM.parse(FORMULAS[name])
    again = FORM.parse(FORM.write(expression))
    assert again == expression
    assert FORM.key(again) == FORM.key(FORM.canonical(expression))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Minus(x, 0.2)", "has the form 't: FORMULA | n: FORMULA | log2_s: NUMBER', not 'Minus(x, 0.2)'"),
        ("t: x | n: x | log2_s: 12", "log2_s must be a number from 0.5 to 10, not '12'"),
        ("t: x | n: x | log2_s: many", "log2_s must be a number from 0.5 to 10, not 'many'"),
        ("t: Sin(y) | n: x | log2_s: 4", "unknown input 'y'; inputs are x"),
        ("t: x | n: Mull(x, x) | log2_s: 4", "Did you mean 'Mul'?"),
        ("t: Add(Mul(0.1, x), Add(0.2, 0.3)) | n: x | log2_s: 4", "2 different numbers"),
    ],
)
def test_bad_text_is_one_clear_line(text, message):
    with pytest.raises(UserError) as error:
        SPACE.parse(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# --- random graphs (Algorithm 1) -----------------------------------------------------------------------------------------------


def test_random_graphs_have_the_numbers_of_table_2():
    scales, constants = set(), set()
    for seed in range(300):
        loss = SPACE.sample(np.random.default_rng(seed), BRANCH)
        scales.add(loss.log2_scale)
        for graph in (loss.own, loss.other):
            constants |= {node.value for node in graph.nodes if node.is_constant}
            draft = dags.from_graph(np.random.default_rng(0), VOCABULARY, graph)
            assert len(draft.operators) <= 10
            assert "x" in graph.input_names  # whatever is left over is joined at the output
            assert len({node.value for node in graph.nodes if node.is_constant}) <= 2
    assert scales == {0.5 * k for k in range(1, 21)}
    assert {round(20 * value) for value in constants} == set(range(1, 21))


def test_every_pair_of_operator_and_operands_is_equally_likely():
    """Algorithm 1 draws from the enumerated set: with three nodes, 3 pairs for an operator of one operand, 9 for one of two."""
    vocabulary = dataclasses.replace(VOCABULARY, num_constants=2, max_operators=1)
    counts = collections.Counter()
    for seed in range(3000):
        graph = dags.random_graph(np.random.default_rng(seed), vocabulary)
        names = [node.name for node in graph.nodes if node.is_operator]
        # The operator that was drawn, among the Adds that join what is left over.
        counts[next((name for name in names if name != "Add"), "Add")] += 1
    binary = sum(counts[name] for name in ("Minus", "Mul", "Div"))
    assert binary / 3000 == pytest.approx(3 * 9 / (20 * 3 + 4 * 9), abs=0.03)
    assert counts["Exp"] / 3000 == pytest.approx(3 / 96, abs=0.01)


# --- mutations -----------------------------------------------------------------------------------------------------------------


def draft_of(text):
    return dags.from_graph(np.random.default_rng(0), VOCABULARY, FORM.parse(f"t: {text} | n: x | log2_s: 1").own)


def test_the_sum_at_the_end_is_no_operator():
    draft = draft_of("Add(Add(Sin(x), Mul(x, 0.1)), Exp(Add(x, 0.1)))")
    assert [draft.nodes[i].name for i in draft.operators] == ["Sin", "Mul", "Add", "Exp"]
    assert [draft.nodes[i].name for i in draft.terms] == ["Sin", "Mul", "Exp"]
    assert len(draft.constants) == 2  # one in the formula, and a fresh one beside it


def outcomes(mutation, text, number=400):
    found = collections.Counter()
    for seed in range(number):
        draft = draft_of(text)
        valid = mutation(np.random.default_rng(seed), VOCABULARY, draft)
        found[str(draft.to_graph()) if valid else None] += 1
    return found


def test_deletion_leaves_an_operand():
    assert set(outcomes(dags.delete, "Minus(Sin(x), 0.1)")) == {"Sin(x)", "0.1", "Minus(x, 0.1)"}


def test_insertion_puts_an_operator_on_an_edge():
    for text in outcomes(dags.insert, "Sin(x)"):
        graph = FORM.parse(f"t: {text} | n: x | log2_s: 1").own
        names = [node.name for node in graph.nodes if node.is_operator]
        assert "Sin" in names
        assert len(names) == 2


def test_insertion_is_not_valid_in_a_full_graph():
    full = "Sin(" * 10 + "x" + ")" * 10
    assert set(outcomes(dags.insert, full, 20)) == {None}


def test_replacement_keeps_operands_as_far_as_the_arities_go():
    shapes = collections.Counter()
    for text in outcomes(dags.replace, "Minus(Sin(x), 0.1)"):
        graph = FORM.parse(f"t: {text} | n: x | log2_s: 1").own
        top = graph.nodes[-1]
        shapes[len(top.operands)] += 1
        if len(top.operands) == 2 and top.name != "Minus":
            assert {graph.nodes[i].name for i in top.operands} <= {"Sin", "const", "x"}
    assert set(shapes) == {1, 2}


def test_a_second_operand_is_any_node_before_it_on_either_side():
    """An insertion behind Sin may read Sin itself and the constants beside the graph; a replacement reads what Sin could."""
    draft = draft_of("Sin(x)")
    leaves = {"x", *(f"{draft.nodes[index].value:g}" for index in draft.constants)}
    assert len(leaves) == 3
    for mutation, first in ((dags.insert, "Sin(x)"), (dags.replace, "x")):
        found = {text for text in outcomes(mutation, "Sin(x)", 1500) if text.startswith(("Minus", "Div"))}
        operands = {text.removeprefix("Minus").removeprefix("Div") for text in found}
        assert operands == {pair for leaf in leaves for pair in (f"({first}, {leaf})", f"({leaf}, {first})")}
    assert any("(t1, t1)" in text for text in outcomes(dags.insert, "Sin(x)", 400))


def test_the_three_mutations_are_equally_likely():
    """From a graph of two operators one is taken away, one comes, or their number stays."""
    graph = FORM.parse("t: Sin(Exp(x)) | n: x | log2_s: 1").own
    counts = collections.Counter()
    for seed in range(1500):
        random = np.random.default_rng(seed)
        draft = dags.from_graph(random, VOCABULARY, graph)
        dags.mutate_structure(random, VOCABULARY, draft)
        counts[len(draft.operators)] += 1
    assert set(counts) == {1, 2, 3}
    assert max(abs(count / 1500 - 1 / 3) for count in counts.values()) < 0.05


def test_drafts_stay_graphs_through_many_mutations():
    """Operands come before what reads them, n_o is kept, and the text form comes back."""
    for seed in range(60):
        random = np.random.default_rng(seed)
        graph = dags.random_graph(random, VOCABULARY)
        for _ in range(12):
            draft = dags.from_graph(random, VOCABULARY, graph)
            dags.mutate_structure(random, VOCABULARY, draft)
            for index, node in enumerate(draft.nodes):
                assert all(operand < index for operand in node.operands)
            assert len(draft.operators) <= 10
            graph = draft.to_graph()
            assert Graph.build(graph.nodes) == graph
            FORM.encode(dataclasses.replace(FORM.parse("t: x | n: x | log2_s: 1"), own=graph))


# --- offspring (Algorithm 3) ---------------------------------------------------------------------------------------------------

FIRST = FORM.parse("t: Sin(x) | n: Exp(x) | log2_s: 4")
SECOND = FORM.parse("t: Tanh(x) | n: Erf(x) | log2_s: 7")


def offspring(space=SPACE, number=2000):
    return [space.offspring(np.random.default_rng(seed), BRANCH, [FIRST, SECOND]) for seed in range(number)]


def test_offspring_come_about_in_the_proportions_of_algorithm_3():
    origins = [origin for _, origin in offspring()]
    share = lambda words: sum(words in origin for origin in origins) / len(origins)  # noqa: E731
    assert share("crossover t") == pytest.approx(0.3, abs=0.03)
    assert share("crossover n") == pytest.approx(0.3, abs=0.03)
    for part in "tns":
        assert share(f"{part} copy") == pytest.approx(0.1, abs=0.02)
        assert share(f"{part} reinitialise") == pytest.approx(0.3, abs=0.035)
        assert share(f"{part} mutation") == pytest.approx(0.6, abs=0.035)


def test_offspring_fit_however_long_their_line():
    """Sums at the end can grow by mutation; in a small space they would soon outgrow the program."""
    space = autoloss_gms(
        AutoLossGMSSettings(max_operators=1, num_constants=1, crossover_probability=0, reinitialise_probability=0.1)
    )
    random = np.random.default_rng(0)
    child = space.sample(random, space.branches[0])
    for _ in range(400):
        child, _ = space.offspring(random, space.branches[0], [child, child])
        assert space.encode({"identity": child}).keys() == {"identity"}, "a graph that does not fit is refused here"
        text = space.write({"identity": child})
        assert space.write(space.parse(text)) == text


def test_a_graph_that_comes_in_brings_half_of_its_scale():
    """Eq. 7, reconstructed: the geometric mean of both scales, on the grid; or one of them."""
    wanted = {"mean": {5.5}, "first": {4.0}, "either": {4.0, 7.0}}
    for kind, scales in wanted.items():
        space = autoloss_gms(
            AutoLossGMSSettings(scale_crossover=kind, crossover_probability=1, copy_probability=1, reinitialise_probability=1)
        )
        found = offspring(space, 100)
        assert {child.log2_scale for child, _ in found} == scales
        assert {(str(child.own), str(child.other)) for child, _ in found} == {("Tanh(x)", "Exp(x)"), ("Sin(x)", "Erf(x)")}


def test_numbers_move_freely_or_on_the_grid():
    """Published constants such as 0.22 and 1.3 have to be in reach; the scale stays on its grid."""
    parent = FORM.parse("t: Minus(x, 0.9) | n: x | log2_s: 9.5")
    reached = {}
    for kind in ("normal", "grid"):
        space = autoloss_gms(
            AutoLossGMSSettings(number_mutation=kind, crossover_probability=0, copy_probability=0, reinitialise_probability=0)
        )
        children = [space.offspring(np.random.default_rng(seed), BRANCH, [parent, parent])[0] for seed in range(800)]
        assert {child.log2_scale for child in children} <= {0.5 * k for k in range(1, 21)}
        constants = {node.value for child in children for node in child.own.nodes if node.is_constant}
        assert all(value == round(value, 2) for value in constants)
        reached[kind] = constants
    assert any(value > 1 for value in reached["normal"])
    assert any(round(100 * value) % 5 for value in reached["normal"])
    assert reached["grid"] <= {round(0.05 * k, 2) for k in range(1, 21)}


def test_a_part_mutates_once_to_n_m_times(monkeypatch):
    """Graphs: 2 to 6 mutations of both together. The scale: one to three steps of a half up or down, which part and meet."""
    mutations = collections.Counter()
    monkeypatch.setattr(dags, "mutate_structure", lambda *arguments: mutations.update(["one"]))
    options = {"crossover_probability": 0, "copy_probability": 0, "reinitialise_probability": 0, "number_mutation": "grid"}
    space, totals, scales = autoloss_gms(AutoLossGMSSettings(**options)), collections.Counter(), collections.Counter()
    for seed in range(1200):
        mutations.clear()
        child, _ = space.offspring(np.random.default_rng(seed), BRANCH, [FIRST, FIRST])
        totals[mutations["one"]] += 1
        scales[abs(child.log2_scale - FIRST.log2_scale)] += 1
    for total, ways in ((2, 1), (3, 2), (4, 3), (5, 2), (6, 1)):
        assert totals[total] / 1200 == pytest.approx(ways / 9, abs=0.045)
    for distance, share in ((0.0, 1 / 6), (0.5, 7 / 12), (1.0, 1 / 6), (1.5, 1 / 12)):
        assert scales[distance] / 1200 == pytest.approx(share, abs=0.045)


def test_wrong_settings_are_named():
    with pytest.raises(UserError, match=r"space.autoloss_gms.scale_crossover.*Did you mean 'mean'"):
        autoloss_gms(AutoLossGMSSettings(scale_crossover="means"))
    with pytest.raises(UserError, match="must not be below it"):
        autoloss_gms(AutoLossGMSSettings(copy_probability=0.5))
    for scales in ((), (2.0,), (8.0, 2.0), (2.0, float("inf")), (2.0, 4.0, 8.0)):
        with pytest.raises(UserError, match=r"tuned_scales must be \(lowest, highest\)"):
            autoloss_gms(AutoLossGMSSettings(tuned_scales=scales))


def test_the_scale_is_what_a_comparison_tunes():
    candidate = SPACE.parse(FORMULAS["autoloss_gms_d"])
    assert SPACE.hyperparameters(candidate) == {"log2_s": 4.0}
    moved = SPACE.with_hyperparameters(candidate, {"log2_s": 6.25})
    assert SPACE.encode(moved)["identity"]["scale"] == pytest.approx(2**6.25)


def test_mistakes_in_a_curve_say_which():
    for text, message in (
        ("t: Foo(x) | n: x | log2_s: 4", "bad formula of t at character 1: unknown operator 'Foo'"),
        ("t: x | n: Add(x) | log2_s: 4", "bad formula of n at character 1: Add takes 2 operands"),
        ("t: x | n: x ? | log2_s: 4", r"bad formula of n at character 3: unexpected character '\?'"),
    ):
        with pytest.raises(UserError, match=message):
            FORM.parse(text)
    with pytest.raises(UserError, match="is a constant: nothing can be learned with it"):
        make_contender("t: 0.3 | n: 0.5 | log2_s: 4", SPACE)
    assert make_contender("t: 0.3 | n: x | log2_s: 4", SPACE).kind == GIVEN
