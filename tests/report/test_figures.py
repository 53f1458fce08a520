"""What the page draws: curves, funnel, shapes of losses, formulas and intervals."""

import re

import numpy as np
import pytest

from jaxloss.report import figures
from jaxloss.report.curves import SearchCurve, search_curve
from jaxloss.report.figures import search_figure
from jaxloss.report.formula_svg import formula_svg
from jaxloss.report.funnel import make_funnel
from jaxloss.report.intervals import difference_axis, score_axis
from jaxloss.report.prediction_drawing import loss_shapes
from jaxloss.runs import CandidateRow
from tests.report.finished_run import COUNTS, CROSS_ENTROPY, FILTERS_DECLARED, SPACE, comparison_rows


def shapes(*formulas):
    """What the report draws of formulas of one branch."""
    (branch,) = SPACE.branches
    return loss_shapes([branch.form.compile(branch.form.parse(formula)) for formula in formulas])


class TestParts:
    def test_curve_follows_best_mean_and_number_of_trainings(self):
        def row(proposal, score, training=True, branch="*"):
            return CandidateRow(
                search="evolution",
                proposal=proposal,
                branch=branch,
                attempt=0,
                formula="f",
                key="k",
                origin="o",
                reason="accepted",
                score=score,
                training=training,
            )

        rows = [row(2, None), row(0, 0.5), row(1, 0.4, training=False), row(1, 0.9, branch="b"), row(3, 0.8)]
        curve = search_curve("random_search", rows, population_size=2)
        assert curve.name == "random search"
        assert list(curve.trainings) == [1, 2, 3]
        assert curve.scores == pytest.approx([0.5, np.nan, 0.8], nan_ok=True)
        assert curve.best == [0.5, 0.5, 0.8]
        # The second individual has the score of an equivalent one: it joins the population, but is no training.
        assert curve.mean == pytest.approx([0.45, 0.4, 0.8])
        assert search_curve("random_search", [], 2) is None

    def test_of_very_many_trainings_some_are_drawn(self, monkeypatch):
        """All of them would make a page of many megabytes."""
        monkeypatch.setattr(figures, "MOST_DOTS", 10)
        curve = SearchCurve("evolution", False, [0.5, float("nan")] * 50, [0.5] * 100, [0.5] * 100)
        dots = [path for path in re.findall(r'<path d="([^"]*)"', search_figure([curve], "accuracy")) if path.count("M") > 5]
        assert [path.count("M") for path in dots] == [10]

    @pytest.mark.parametrize(("number", "opacity"), [(20, "0.55"), (5000, "0.22")])
    def test_of_few_trainings_each_is_seen(self, number, opacity):
        drawn = search_figure([SearchCurve("evolution", False, [0.5] * number, [0.5] * number, [0.5] * number)], "accuracy")
        assert re.findall(r"opacity: ([\d.]+)", drawn) == [opacity]

    def test_funnel_adds_up_and_is_logarithmic(self):
        funnel = make_funnel(COUNTS, FILTERS_DECLARED)
        assert [bar.count for bar in funnel.bars] == [60_000, 12_000, 11_199, 11_199, 1_299, 200, 193]
        lengths = {
            count: make_funnel(COUNTS | {"proposed": 100_000, "rejected": {"no_target": 100_000 - count}}, FILTERS_DECLARED)
            .bars[1]
            .percent
            for count in (10, 100, 1000)
        }
        assert lengths[1000] - lengths[100] == pytest.approx(lengths[100] - lengths[10])
        assert make_funnel(COUNTS | {"proposed": 0}, FILTERS_DECLARED) is None

    def test_reasons_that_nobody_declared_are_shown_by_their_labels(self):
        funnel = make_funnel(COUNTS | {"rejected": {**COUNTS["rejected"], "too_slow": 7}}, FILTERS_DECLARED)
        assert [bar.title for bar in funnel.bars].count("passed all other filters") == 1
        assert (7, "too slow") in [loss for bar in funnel.bars for loss in bar.losses]
        assert make_funnel(COUNTS, []).bars[-1] == make_funnel(COUNTS, FILTERS_DECLARED).bars[-1]

    def test_shape_of_cross_entropy(self):
        shape = shapes(CROSS_ENTROPY)[0]
        np.testing.assert_allclose(shape.value_right, -np.log(shape.prediction), rtol=1e-4)
        np.testing.assert_allclose(shape.value_wrong, 0, atol=1e-6)
        # d(-log p) / d logit = p - 1, up to scale
        np.testing.assert_allclose(shape.pull, (1 - shape.prediction) / 0.995, rtol=1e-3)

    def test_shape_sees_both_classes(self):
        (shape,) = shapes("Mul(target, Mean_c(Square(prediction)))")
        np.testing.assert_allclose(shape.value_right, (shape.prediction**2 + (1 - shape.prediction) ** 2) / 2, rtol=1e-4)

    def test_flat_and_infinite_losses_have_curves(self):
        # Softmax holds the mean over the classes constant: what is left of its gradient is rounding.
        formulas = ["Mul(0, Mul(prediction, target))", "Mul(target, Mean_c(prediction))", "Exp(Exp(Exp(Exp(Mul(9, target)))))"]
        flat, cancelled, infinite = shapes(*formulas)
        assert not flat.pull.any()
        assert not cancelled.pull.any()
        assert np.isinf(infinite.value_right).all()

    @pytest.mark.parametrize(
        "latex", [None, "", r"\frac{1}", r"\begin{cases} 1 \end{cases}", "a $ b", "x" * 5000, r"\unknown{x}"]
    )
    def test_what_cannot_be_drawn_is_left_to_the_text(self, latex):
        assert formula_svg(latex, "f") is None

    def test_low_letters_keep_their_parentheses_and_fractions_their_size(self):
        def height(latex):
            return float(re.search(r'viewBox="\S+ \S+ \S+ (\d+)"', formula_svg(latex, "f"))[1])

        assert height(r"\log{\left(y \right)}") == height(r"\log (y)")
        assert height(r"\frac{1}{y}") == height(r"\dfrac{1}{y}")
        assert height(r"x^{\frac{1}{4}}") < height(r"x^{\dfrac{1}{4}}")

    def test_formula_has_a_line_for_each_part_and_an_escaped_label(self):
        drawn = formula_svg(r"t_{1} = \frac{1}{y};\quad t_{1}^{2}", 'a<b & "c"')
        assert drawn.count("<svg") == 2
        assert 'aria-label="a&lt;b &amp; &#34;c&#34;"' in drawn

    def test_a_straggler_does_not_set_the_axis(self):
        rows = comparison_rows()
        axis = score_axis(rows)
        assert 0.7 < axis.low < 0.91
        assert axis.mark(0.62, [0.6, 0.64]).outside == "left"
        assert axis.mark(0.949, [0.945, 0.953]).outside == ""
        assert all(0 <= position <= 100 for position, _ in axis.ticks)
        assert len(axis.ticks) >= 2
        assert [axis.percent(float(text)) for _, text in axis.ticks] == pytest.approx([position for position, _ in axis.ticks])

    def test_axis_of_differences_shows_zero_and_the_margin(self):
        axis = difference_axis([{"ci95": [0.2, 0.3]}], 0.005)
        assert 0 < axis.percent(-0.005) < axis.percent(0) < 100
