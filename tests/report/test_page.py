"""The page of a run: complete, self-contained, and true to the summary."""

import collections
import html.parser
import json
import re
import time

import pytest

from jaxloss.report import page as report
from jaxloss.report.page import write_report
from jaxloss.runs import RunDirectory
from tests.report.finished_run import CONFIG, COUNTS, MARGINS, SPACE, differences_of, make_run, summary_of, words_of


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

    @pytest.mark.parametrize(("by", "says"), [("gradients", "the shortest is shown"), ("scores", "equal scores on every fresh")])
    def test_what_was_merged_and_what_does_nothing_is_said(self, pages, tmp_path, by, says):
        assert "formulas that the search found are this loss" not in pages["search"]
        assert "do nothing here" not in pages["search"]
        run, summary = make_run(tmp_path / "run"), summary_of("search")
        minimal = {"formula": "Neg(target)", "simplified": "-target", "decimal": "", "latex": "-y", "domain": ""}
        for row in (summary["ranking"][0], summary["comparison"][0]):
            row |= {"merged": 3, "minimal": minimal}
        (run / "summary.json").write_text(json.dumps({**summary, "merged_by": by}))
        page = write_report(run, SPACE).read_text()
        text = Page(page).text
        assert text.count("3 formulas that the search found are this loss") == 1
        assert says in text
        # In the headline, and in the list of the best losses.
        assert text.count("without terms that do nothing here") == 2
        assert page.count('aria-label="Neg(target)"') == 2

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
