"""The page of a run: complete, self-contained, and true to the summary."""

import collections
import html.parser
import json
import re

import pytest

from jaxloss.report.headline import BEST_RIVAL, RANDOM_SEARCH, headline_of
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
        if not {"style", "script"} & {*self.open}:
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
        own = [reference for reference in page.references if not reference.startswith("data:image/")]
        assert [reference for reference in own if not reference.startswith("#")] == []
        assert {reference.removeprefix("#") for reference in own} <= set(page.ids)
        svg = pages[kind].replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|@import|<script[^>]* src|<link|url\((?!#)", svg)

    def test_figures_take_their_colours_from_the_page(self, pages, kind):
        assert "@media screen and (prefers-color-scheme: dark)" in pages[kind], "paper is white"
        assert not re.search(r"(fill|stroke)[:=] ?\"?#[0-9a-f]{3,6}", pages[kind])

    def test_has_the_sections_of_its_mode(self, pages, kind):
        headings = re.findall(r"<h2>(.*?)</h2>", pages[kind])
        search = ["The search", "Every candidate", "Where the draws went", "The best losses"]
        tables = ["The comparison", "How sure is that?"]
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
        assert text.count("as it was found, with terms that do nothing here") == 2
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

    @pytest.mark.parametrize("verdict", ["leads", "ties", "is behind"])
    def test_the_headline_is_the_tuned_result_beside_the_best_rival_and_random_search(self, tmp_path, verdict):
        """Green, and ahead, only where the interval against the best tuned rival is above zero."""
        summary = summary_of("search")
        rows = {row["second"]: row for row in summary["differences"]}
        rows["gce"] |= {"verdict": verdict, "mean": 0.0123, "ci95": [0.01, 0.0146]}
        summary["headline"] = {"best_rival": rows["gce"], "random_search": {**rows["random search"], "verdict": "leads"}}
        run = make_run(tmp_path / "run")
        (run / "summary.json").write_text(json.dumps(summary))
        page = write_report(run, SPACE).read_text().partition("<h2>The search")[0].rpartition("<section>")[0]
        head = Page(page + "</main></body></html>").text
        assert f"{summary['best']['test_mean']:.4f}" in head
        words = {"leads": "ahead of", "ties": "tied with", "is behind": "behind"}[verdict]
        assert f"{words} the best tuned rival, GCE" in head
        assert "+0.0123" in head
        assert "above the best of random search" in head
        assert "cross-entropy" not in head
        assert ("ahead of" in head) == ('class="big leads"' in page) == (verdict == "leads")

    def test_a_loss_that_the_search_began_with_is_not_passed_off_as_found(self, pages, tmp_path):
        assert "The loss that the search found and the tuning chose" in Page(pages["search"]).text
        run, summary = make_run(tmp_path / "run"), summary_of("search")
        text = json.dumps(summary).replace(json.dumps(summary["best"]["name"]), json.dumps(f"{summary['best']['name']} (a seed)"))
        (run / "summary.json").write_text(text)
        head = Page(write_report(run, SPACE).read_text()).text
        assert "A loss that the search began with: it found none that the tuning would choose before it" in head
        assert "The loss that the search found" not in head

    def test_a_thousand_trainings_make_a_page_that_is_sent_by_mail(self, tmp_path):
        run = make_run(tmp_path / "run", count=1200)
        assert len(write_report(run, SPACE).read_text()) < 2_000_000


def test_a_run_that_has_just_begun_is_reported(tmp_path):
    with RunDirectory.open(tmp_path / "run", {"anything": [1, 2]}):
        pass
    assert "This run is unfinished" in write_report(tmp_path / "run").read_text()


def test_an_earlier_summary_names_no_headline_and_gets_one():
    """The rival that is best on search_eval, not on the test; a found loss is no rival of another."""
    summary = summary_of("search")
    assert "headline" not in summary
    scores = {"cross_entropy": 0.5, "gce": 0.6, "mae": None, "found 2": 0.9}
    for row in summary["comparison"]:
        row["tuned"]["search_eval"] = scores.get(row["name"], 0.1)
    judged = headline_of(summary)
    assert [judged[name]["second"] for name in (BEST_RIVAL, RANDOM_SEARCH)] == ["gce", "random search"]
    assert headline_of({}) == {BEST_RIVAL: None, RANDOM_SEARCH: None}
    given = headline_of(summary_of("compare"))
    assert given[BEST_RIVAL]["second"] != summary_of("compare")["comparison"][0]["name"]
    assert given[RANDOM_SEARCH] is None


def test_what_is_to_be_known_of_a_table_is_said(tmp_path):
    """Where nothing learned, which rates lie at the edge, and what the intervals know of."""
    summary = summary_of("compare")
    run = make_run(tmp_path / "run", "compare")
    former = write_report(run, SPACE).read_text()
    assert "took all trainings as independent" in former
    assert "The test images are one sample for all" in former
    summary["comparison"][1]["tuned"]["edge"] = "upper"
    summary["intervals"] = ["division", "seed"]
    check = {"loss": "cross_entropy", "learning_rate": 0.3, "untrained": 0.2, "trained": 0.1, "learns": False}
    (run / "summary.json").write_text(json.dumps({**summary, "baseline_check": check}))
    page = Page(write_report(run, SPACE).read_text()).text
    assert (
        "Nothing learned here: with cross-entropy at rate 0.3 the accuracy on search_eval is 0.1000, and up to 0.2000 without"
        in page
    )
    assert page.count("at the upper edge of the rates tried") == 1
    assert "Intervals take trainings on one division of the data as related" in page
    assert "took all trainings as independent" not in page
    (run / "summary.json").write_text(json.dumps({**summary, "baseline_check": {**check, "learns": True}}))
    assert "Nothing learned here" not in write_report(run, SPACE).read_text()
