"""The page of a run and its outcome on the terminal: complete, self-contained, and true to the summary."""

import collections
import html.parser
import io
import re
import time

import numpy as np
import pytest
from rich.console import Console

from jaxloss.core.errors import UserError
from jaxloss.report import __main__ as command
from jaxloss.report import page as report
from jaxloss.report.curves import search_curve
from jaxloss.report.formula_svg import formula_svg
from jaxloss.report.funnel import make_funnel
from jaxloss.report.intervals import difference_axis, score_axis
from jaxloss.report.page import write_report
from jaxloss.report.prediction_drawing import loss_shapes
from jaxloss.report.table import print_summary
from jaxloss.runs import CandidateRow, RunDirectory, TrainingRow
from jaxloss.runs.rows import FILTERS
from jaxloss.study.experiment import filter_declarations
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.problems import make_cascade

SPACE, MARGINS = autoloss_zero(), autoloss_gms()
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
FORMULAS = {
    "Exp(Square(Add(target, Neg(Sqrt(prediction)))))": r"\exp\left(\left(y - \sqrt{\hat{y}}\right)^{2}\right)",
    "Neg(Mul(target, Tanh(Mean_c(prediction))))": r"- y \tanh{\left(\mathrm{Mean}_{c}\left(\hat{y}\right) \right)}",
    "Mul(Exp(Tanh(target)), Inv(prediction))": r"\begin{cases} 1 & \text{nothing that mathtext draws} \end{cases}",
    "Square(Add(prediction, Neg(target)))": r"\left(\hat{y} - y\right)^{2}",
}
RIVALS = {"cross_entropy": {}, "gce": {"q": 0.71}, "mae": {}}
FILTERS_DECLARED = filter_declarations({"classification": make_cascade()}, None)
COUNTS = {
    "proposed": 60_000,
    "rejected": {"no_prediction": 33_000, "no_target": 15_000, "zero_gradient": 801, "no_metric_gain": 9_900},
    "equivalent": 99,
    "trained": 200,
    "stopped_by_nan": 7,
}
CONFIG = {
    "mode": "search",
    "task": {"name": "classification"},
    "space": {"name": "autoloss_zero"},
    "search": {"name": "evolution", "num_trainings": 200, "evolution": {"population_size": 50}},
}


def result(mean, rate, values=()):
    scores = mean + 0.006 * np.random.default_rng(int(mean * 1e6)).normal(size=10)
    half = float(2.26 * scores.std(ddof=1) / 10**0.5)
    return {
        "learning_rate": rate,
        "hyperparameters": dict(values),
        "search_eval": float(mean) + 0.004,
        "test_mean": float(scores.mean()),
        "test_ci95": [float(scores.mean()) - half, float(scores.mean()) + half],
        "test_deviation": float(scores.std(ddof=1)),
        "scores": [[index // 5, 12_000 + index % 5, float(score)] for index, score in enumerate(scores)],
    }


def described(formula):
    simplified = formula.lower().replace("target", "<y & z>")
    return {"formula": formula, "simplified": simplified, "latex": FORMULAS[formula], "domain": "target in [0, 1]"}


def comparison_rows():
    rows = [
        {
            "name": f"found {i + 1}",
            "kind": "found",
            **described(formula),
            "untuned": result(0.931 - 0.004 * i, 0.3),
            "tuned": result(0.949 - 0.004 * i, 0.21),
        }
        for i, formula in enumerate(list(FORMULAS)[:3])
    ]
    rows.append(
        {
            "name": "random search",
            "kind": "random_search",
            **described(list(FORMULAS)[3]),
            "untuned": result(0.92, 0.3),
            "tuned": result(0.937, 0.0672),
        }
    )
    means = {"cross_entropy": (0.76, 0.911), "gce": (0.89, 0.947), "mae": (0.3, 0.62)}
    for name, values in RIVALS.items():
        untuned, tuned = means[name]
        rows.append(
            {
                "name": name,
                "kind": "handcrafted",
                "formula": None,
                "untuned": result(untuned, 0.3, values),
                "tuned": result(tuned, 0.0123, values),
            }
        )
    return rows


def differences_of(rows):
    first, found = rows[0], []
    for row in rows[1:]:
        pairs = [a[2] - b[2] for a, b in zip(first["tuned"]["scores"], row["tuned"]["scores"], strict=True)]
        mean, half = float(np.mean(pairs)), float(2.26 * np.std(pairs, ddof=1) / 10**0.5)
        verdict = "leads" if mean - half > 0 else "is behind" if mean + half < 0 else "ties"
        found.append(
            {
                "first": first["name"],
                "second": row["name"],
                "mean": mean,
                "ci95": [mean - half, mean + half],
                "pairs": 10,
                "verdict": verdict,
                "not_behind": mean - half > -0.005,
            }
        )
    return found


def summary_of(mode):
    rows = comparison_rows()
    summary = {
        "jaxloss": "0.1.0",
        "jax": "0.10.2",
        "device": "cpu",
        "machine": "Linux x86_64, Python 3.11.2",
        "mode": mode,
        "task": "digits 40% symmetric noise",
        "metric": "accuracy",
        "space": "autoloss_zero",
        "operators": "autoloss_zero",
        "margin": 0.005,
        "task_details": {"num_train": 898, "noise": "40% symmetric", "network": "mlp", "image_shape": [8, 8, 1]},
        "compilations": {"train": 2, "gradient classification": 1},
        "seconds": {"total": 312.4},
        "command": "python -m jaxloss.launch --config=configs/quickstart.py --config.loss='Neg(Mul(target, Log(prediction)))'",
    }
    if mode == "search":
        ranking = [
            {
                "rank": i + 1,
                **described(formula),
                "search_eval": 0.95 - 0.003 * i if i < 3 else None,
                "search_score": 0.96 - 0.002 * i,
                "same_as": 1 if i == 2 else None,
            }
            for i, formula in enumerate(FORMULAS)
        ]
        headline = {**ranking[0], "name": "found 1", "hyperparameters": {"learning_rate": 0.21}, "seeds": 10}
        tuned = {name: rows[0]["tuned"][name] for name in ("test_mean", "test_ci95", "search_eval")}
        seconds = {"rejection": 41.0, "training": 160.2, "total": 312.4}
        summary |= {"counts": COUNTS, "seconds": seconds, "ranking": ranking, "best": {**headline, **tuned}}
    if mode == "train":
        rows = [
            {
                "name": CROSS_ENTROPY,
                "kind": "given",
                "formula": CROSS_ENTROPY,
                "simplified": "a<b",
                "latex": r"a<b",
                "untuned": result(0.9, 0.3),
                "tuned": result(0.9, 0.3),
            }
        ]
    if mode == "compare":
        rows = [
            {**row, "name": row["formula"] or row["name"], "kind": "given" if row["formula"] else "handcrafted"} for row in rows
        ]
    return summary | {"comparison": rows} | ({} if mode == "train" else {"differences": differences_of(rows)})


def individuals(search, count, final):
    generator = np.random.default_rng(len(search))
    formulas = list(FORMULAS)
    scores = final - (final - 0.2) * generator.random(count) ** (1 + 3 * np.arange(count) / count)
    return [
        CandidateRow(
            search=search,
            proposal=i,
            branch="*",
            attempt=3,
            formula=formulas[i % len(formulas)],
            key=str(i),
            origin="mutation",
            reason="accepted",
            score=None if i % 41 == 40 else float(scores[i]),
            training=i % 7 != 6,
            seconds=0.4,
        )
        for i in range(count)
    ]


def words_of(label):
    return next(one["reasons"][label] for one in FILTERS_DECLARED if label in one["reasons"])


def make_run(path, mode="search", finished=True, count=120):
    searching = mode == "search"
    with RunDirectory.open(path, CONFIG | {"mode": mode}) as run:
        candidates = (
            [*individuals("evolution", count, 0.95), *individuals("random_search", count // 2, 0.92)] if searching else []
        )
        state = (
            {FILTERS: FILTERS_DECLARED, "evolution": {"counts": COUNTS}, "random_search": {"counts": COUNTS | {"trained": 60}}}
            if searching
            else {}
        )
        trainings = [
            TrainingRow(
                stage=stage,
                loss=row["name"],
                hyperparameters={},
                learning_rate=0.3,
                seed=seed,
                division=division,
                evaluated_on="test",
                score=score,
                steps=420,
                seconds=0.41,
            )
            for stage, kind in (("test untuned", "untuned"), ("test tuned", "tuned"))
            for row in comparison_rows()
            for division, seed, score in row[kind]["scores"]
        ]
        run.archive.commit(candidates=candidates, trainings=trainings, state=state)
        if finished:
            run.write_summary(summary_of(mode))
    return path


def shapes(*formulas):
    """What the report draws of formulas of one branch."""
    (branch,) = SPACE.branches
    return loss_shapes([branch.form.compile(branch.form.parse(formula)) for formula in formulas])


class Page(html.parser.HTMLParser):
    """Checks the nesting of tags, and collects ids, references and text."""

    VOID = {"meta", "br", "link", "img", "input", "hr", "use", "path", "line", "circle", "rect"}

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.references, self.text = [], [], [], ""
        self.tags = collections.Counter()
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags[tag] += 1
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "xlink:href", "data", "srcset", "action"):
                self.references.append(value)
            self.references += [f"#{target}" for target in re.findall(r"url\(#([^)]+)\)", value or "")]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    texts = {}
    for mode in ("search", "compare", "train"):
        texts[mode] = write_report(make_run(folder / mode, mode), SPACE).read_text()
    texts["unfinished"] = write_report(make_run(folder / "unfinished", finished=False), SPACE).read_text()
    return texts


@pytest.mark.parametrize("kind", ["search", "compare", "train", "unfinished"])
class TestEveryPage:
    def test_is_well_formed_and_refers_only_to_itself(self, pages, kind):
        page = Page(pages[kind])
        assert page.tags["html"] == page.tags["body"] == page.tags["h1"] == 1
        assert len(page.ids) == len(set(page.ids))
        assert [reference for reference in page.references if not reference.startswith("#")] == []
        assert {reference.removeprefix("#") for reference in page.references} <= set(page.ids)
        assert not re.search(r"https?:|@import|<script|<link|url\((?!#)", pages[kind])

    def test_figures_take_their_colours_from_the_page(self, pages, kind):
        assert "prefers-color-scheme: dark" in pages[kind]
        assert not re.search(r"(fill|stroke)[:=] ?\"?#[0-9a-f]{3,6}", pages[kind])

    def test_has_the_sections_of_its_mode(self, pages, kind):
        headings = re.findall(r"<h2>(.*?)</h2>", pages[kind])
        search, tables = ["The search", "Where the draws went", "The best losses"], ["The comparison", "How sure is that?"]
        given = ["The losses", *tables], ["The losses", "The result"]
        expected = {"search": search + tables, "compare": given[0], "train": given[1], "unfinished": search}
        assert headings == [*expected[kind], "How it was done"]
        assert ("This run is unfinished" in pages[kind]) == (kind == "unfinished")


def test_given_margin_losses_are_drawn_beside_known_ones(tmp_path):
    """Of a space from outside the package as well: the summary tells whose operators it has."""
    with RunDirectory.open(tmp_path / "run", CONFIG | {"mode": "compare", "space": {"name": "own:space"}}) as run:
        summary = summary_of("compare")
        found, *others = [row for row in summary["comparison"] if row["kind"] == "handcrafted" or row is summary["comparison"][0]]
        formula = "t: Minus(x, 0.3) | n: x | log2_s: 5"
        rows = [{**found, "name": formula, "formula": formula, "simplified": "t: x - 0.3 | n: x", "latex": "x - 0.3"}, *others]
        run.write_summary({**summary, "comparison": rows, "differences": differences_of(rows)})
    page = write_report(tmp_path / "run", MARGINS).read_text()
    Page(page)
    assert page.count("<p>slopes: ") == 1 + len(MARGINS.drawing.references)
    assert "Circle, m = 0.25, for reference" in page
    assert "in the search" not in page


class TestSearchPage:
    def test_numbers_of_the_summary_are_in_the_page(self, pages):
        text, summary = Page(pages["search"]).text, summary_of("search")
        for row in summary["comparison"]:
            for kind in ("untuned", "tuned"):
                low, high = row[kind]["test_ci95"]
                assert f"{row[kind]['test_mean']:.4f} ± {(high - low) / 2:.4f}" in text
        for row in summary["differences"]:
            assert f"{row['mean']:+.4f}".replace("-", "−") in text
        for number in ("60,000", "−33,000", "q 0.71", "5 min 12 s", "0.9600", "200"):
            assert number in text

    def test_a_copy_is_called_one(self, pages):
        assert pages["search"].count("The same loss as 1 on this task") == 1
        assert "The same loss as" not in pages["unfinished"]

    def test_every_reason_that_occurred_is_explained(self, pages):
        text = Page(pages["search"]).text
        for label in COUNTS["rejected"]:
            assert words_of(label) in text

    def test_formulas_are_drawn_or_written(self, pages):
        page = pages["search"]
        assert page.count('class="formula"') >= 6
        # mathtext cannot draw the third: its simplified text stands there, escaped.
        assert "<code>mul(exp(tanh(&lt;y &amp; z&gt;)), inv(prediction))</code>" in page
        assert "<y & z>" not in page
        assert "simplified for target in [0, 1]" in page

    def test_the_headline_is_the_tuned_result_and_the_lead_over_cross_entropy(self, pages):
        head = Page(pages["search"]).text.split("The search")[0]
        summary = summary_of("search")
        lead = next(row for row in summary["differences"] if row["second"] == "cross_entropy")
        assert f"{summary['best']['test_mean']:.4f}" in head
        assert "ahead of tuned cross-entropy" in head
        assert f"{lead['mean']:+.4f}" in head

    def test_a_thousand_trainings_take_seconds(self, tmp_path):
        run = make_run(tmp_path / "run", count=1200)
        started = time.perf_counter()
        page = write_report(run, SPACE).read_text()
        assert time.perf_counter() - started < 10
        assert len(page) < 2_000_000


def test_a_run_that_has_just_begun_is_reported(tmp_path):
    with RunDirectory.open(tmp_path / "run", {"anything": [1, 2]}):
        pass
    assert "This run is unfinished" in write_report(tmp_path / "run").read_text()


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


def printed(summary, **options):
    console = Console(file=io.StringIO(), highlight=False, **{"width": 116, **options})
    print_summary(summary, console)
    return console.file.getvalue()


class TestTerminal:
    def test_numbers_and_formulas_are_whole(self):
        summary = summary_of("search")
        text = printed(summary)
        assert "…" not in text
        for row in summary["comparison"]:
            for kind in ("untuned", "tuned"):
                low, high = row[kind]["test_ci95"]
                assert f"{row[kind]['test_mean']:.4f} ± {(high - low) / 2:.4f}" in text
        for row in summary["differences"]:
            assert f"{row['mean']:+.4f}" in text
        assert summary["best"]["formula"] in text
        assert summary["best"]["simplified"] in text
        assert max(map(len, text.splitlines())) <= 116

    @pytest.mark.parametrize("mode", ["train", "compare"])
    def test_other_modes(self, mode):
        summary = summary_of(mode)
        text = printed(summary)
        for row in summary["comparison"]:
            assert f"{row['tuned']['test_mean']:.4f}" in text
            assert (row["formula"] or "") in text
        assert ("untuned" in text) == (mode == "compare")

    def test_a_rival_that_was_tuned_longer_keeps_its_name(self):
        summary = summary_of("compare")
        rows = [row for row in summary["comparison"] if row["kind"] == "handcrafted"]
        rows[0]["name"], rows[1]["name"] = "arcface (240 tuning trainings)", "normalised_softmax (240 tuning trainings)"
        summary["differences"] = []
        text = " ".join(printed(summary).split())
        assert "ArcFace (240 tuning trainings)" in text
        assert "normalised softmax (240 tuning trainings)" in text

    def test_a_long_formula_is_folded_not_cut(self):
        summary = summary_of("search")
        summary["best"]["formula"] = "Add(target, " * 40 + "prediction" + ")" * 40
        text = printed(summary)
        assert summary["best"]["formula"].replace(" ", "") in re.sub(r"\s", "", text)

    def test_without_unicode(self, tmp_path):
        with open(tmp_path / "out", "w", encoding="ascii") as file:
            print_summary(summary_of("search"), Console(file=file, width=116))
        assert "+-" in (tmp_path / "out").read_text()


class TestCommand:
    def test_writes_the_page_and_names_it(self, tmp_path, capsys):
        run = make_run(tmp_path / "run", mode="train")
        assert command.main([str(run)]) == 0
        assert capsys.readouterr().out.strip() == str(run / "report.html")
        assert (run / "report.html").is_file()

    @pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--wrong"], ["absent"]])
    def test_mistakes_are_one_line_and_exit_code_2(self, tmp_path, monkeypatch, capsys, arguments):
        monkeypatch.chdir(tmp_path)
        assert command.main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == 1

    def test_help(self, capsys):
        assert command.main(["--help"]) == 0
        assert "WORKDIR" in capsys.readouterr().out

    def test_a_page_that_cannot_be_written_is_the_users_error(self, tmp_path):
        run = make_run(tmp_path / "run", mode="train")
        (run / "report.html").mkdir()
        with pytest.raises(UserError, match=r"report\.html"):
            write_report(run)


def test_without_cross_entropy_the_headline_names_the_best_hand_crafted_loss():
    """Best on search_eval, not on the test; a found loss is no rival."""
    rows = [
        {"name": name, "kind": kind, "tuned": {"search_eval": score}}
        for name, kind, score in (("cosface", "handcrafted", 0.5), ("arcface", "handcrafted", 0.6), ("found 2", "found", 0.9))
    ]
    differences = [{"second": name, "mean": 0.0} for name in ("cosface", "arcface", "found 2")]
    assert report.headline_rival(rows, differences)["second"] == "arcface"
    rows.append({"name": "cross_entropy", "kind": "handcrafted", "tuned": {"search_eval": 0.1}})
    assert report.headline_rival(rows, [*differences, {"second": "cross_entropy", "mean": 0.0}])["second"] == "cross_entropy"
    assert report.headline_rival([], []) is None
