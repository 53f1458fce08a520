"""Offspring (Algorithm 3): curves and scales of the parents, and their mutations; the settings of the space."""

import collections

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.systems.autoloss_gms import dags
from jaxloss.systems.autoloss_gms.settings import AutoLossGMSSettings
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from tests.margin_space.losses import BRANCH, FORM, FORMULAS, SPACE

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
