"""What the page says that a loss does, from real diagnoses, and what it says where there is none."""

import copy

import pytest

from jaxloss.report.diagnosis import constant_in_words, diagnosis_section
from jaxloss.report.page import write_report
from jaxloss.report.rates import rate_curves
from jaxloss.runs import RunDirectory, TrainingRow
from jaxloss.runs.directory import open_for_reading
from jaxloss.spaces.families import family
from jaxloss.study.contender import FOUND, HANDCRAFTED, Contender
from jaxloss.study.diagnosis.diagnose import diagnose
from jaxloss.tasks.fast import make_fast
from tests.report.finished_run import CONFIG, SPACE, make_run, summary_of
from tests.report.test_page import Page

# It turns round at 1/2, has a pole at 0 that epsilon hides, and reads the batch.
TURNING = "Add(Mul(target, Square(Add(Add(prediction, prediction), Neg(1)))), Mul(Mean_nhw(prediction), Sqrt(prediction)))"
TERMS = {
    "name": "found 1",
    "formula": TURNING,
    "pairs": 10,
    "rows": [
        {"term": "Tanh(a)", "latex": r"\tanh{a}", "formula": "b", "why": "", "test_mean": 0.9, "mean": 0.01, "ci95": [-0.1, 0.1]},
        {"term": "Exp(b)", "latex": None, "formula": "a", "why": "", "test_mean": 0.5, "mean": -0.4, "ci95": [-0.5, -0.3]},
        {"term": "Log(c)", "latex": None, "formula": "c", "why": "what is left does not read the target"},
    ],
}


@pytest.fixture(scope="module")
def losses():
    task = make_fast()
    contenders = [
        Contender("found 1", FOUND, SPACE, TURNING),
        Contender("cross_entropy", HANDCRAFTED, family("cross_entropy")),
    ]
    return [diagnose(one, one.default(0.1), task) for one in contenders]


def tuned(loss, rate, score, q=0.7):
    return TrainingRow(
        stage="tune",
        loss=loss,
        hyperparameters={"q": q} if loss == "gce" else {},
        learning_rate=rate,
        seed=1,
        division=0,
        evaluated_on="search_eval",
        score=score,
        steps=1,
    )


def run_with(path, mode="search", trainings=(), **further):
    """A finished run with more in its summary, and with a tuning."""
    make_run(path, mode)
    with RunDirectory.open(path, CONFIG | {"mode": mode}) as run:
        run.archive.commit(trainings=trainings)
        run.write_summary({**summary_of(mode), **further})
    return path


def section_of(path):
    with open_for_reading(path) as run:
        return diagnosis_section(run, run.read_summary())


class TestWords:
    def test_of_a_loss_that_turns_round(self, tmp_path, losses):
        section = section_of(run_with(tmp_path / "run", diagnosis=losses))
        rows = {title: [" | ".join(lines) for lines in cells] for title, cells in section["rows"]}
        assert section["names"] == ["found 1", "cross_entropy"]
        assert "rises" in rows["falls"][0]
        assert rows["falls"][1] == "everywhere as the true class becomes more probable"
        assert rows["runs away"][1].startswith("gradient above a million for probabilities below ")
        assert "slope at prediction = 0" in rows["poles, were every ε 0"][0]
        assert rows["poles, were every ε 0"][1] == ""
        assert rows["other samples in the batch"][0].startswith("matter")
        assert rows["other samples in the batch"][1] == "change nothing"
        assert "makes the true class less probable" in rows["against cross-entropy"][0]
        assert rows["twice as many classes"][1] == "changes nothing"
        assert [len(figure["names"]) for figure in section["figures"]] == [2, 2]

    def test_of_a_loss_without_a_finite_slope(self, tmp_path, losses):
        nowhere = copy.deepcopy(losses[0])
        nowhere["sweeps"][0]["courses"] = {key: [] for key in ("as it should", "the wrong way", "flat")}
        nowhere["sweeps"][0]["runaways"] = [["value not finite", 0.0, 1.0]]
        rows = dict(section_of(run_with(tmp_path / "run", diagnosis=[nowhere]))["rows"])
        assert rows["falls"] == [["nowhere: it has no finite slope"]]
        assert rows["runs away"] == [["value not finite at every probability"]]

    def test_a_constant_is_the_rate_unless_the_optimiser_divides_it_out(self):
        assert "learning rate" in constant_in_words({"optimiser": "sgd"})
        adam = constant_in_words({"optimiser": "adam", "weight_decay": 1e-4, "clip_norm": 1.0})
        assert all(word in adam for word in ("Adam divides it out", "weight decay", "bound"))
        assert "change nothing" in constant_in_words({"optimiser": "sgd", "loss_scale": "unit_gradient"})

    def test_terms_come_by_what_their_absence_does(self, tmp_path):
        section = section_of(run_with(tmp_path / "run", ablation=TERMS))
        rows = section["ablation"]["rows"]
        assert [row["term"] for row in rows] == ["Exp(b)", "Tanh(a)", "Log(c)"]
        assert [row.get("words") for row in rows] == ["does work", "no difference seen", None]

    def test_what_there_is_not_is_said_in_a_sentence(self, tmp_path, losses):
        without_graph = {**copy.deepcopy(losses[0]), "poles": None, "sweeps": [], "samples": None, "without_axis": ["boxes"]}
        section = section_of(run_with(tmp_path / "run", diagnosis=[without_graph]))
        assert any("Of boxes nothing is drawn" in sentence for sentence in section["missing"])
        assert any("no formulas" in sentence for sentence in section["missing"])
        assert section["figures"] == []
        no_outputs = section_of(run_with(tmp_path / "another", diagnosis=[{**without_graph, "has_outputs": False}]))
        assert any("makes up no outputs" in sentence for sentence in no_outputs["missing"])
        with_terms = section_of(run_with(tmp_path / "other", diagnosis=losses))
        assert any("--config.comparison.term_ablation=true" in sentence for sentence in with_terms["missing"])


class TestRates:
    def test_best_of_each_quarter_of_a_decade_and_how_wide_it_is_good(self):
        first = next(iter(summary_of("search")["comparison"]))
        rates = [0.001, 0.0011, 0.01, 0.1, 1.0]
        scores = [0.5, 0.6, 0.9, 0.89, 0.2]
        trainings = [tuned(first["formula"], *pair) for pair in zip(rates, scores, strict=True)]
        trainings += [tuned("gce", 0.1, 0.8), tuned("gce", 0.2, 0.7), tuned("gce", 0.2, 0.75, q=0.1), tuned("mae", 0.1, 0.6)]
        curves = rate_curves(trainings, summary_of("search"))
        # The third was tuned at one rate alone.
        assert [(curve.name, curve.role) for curve in curves] == [("found 1", "own"), ("gce", "other")]
        assert curves[0].best == ((0.0011, 0.6), (0.01, 0.9), (0.1, 0.89), (1.0, 0.2))
        assert curves[0].as_good == (0.01, 0.1)
        assert curves[1].best == ((0.1, 0.8), (0.2, 0.75))

    def test_they_are_drawn_for_runs_that_know_no_diagnosis(self, tmp_path):
        first = summary_of("search")["comparison"][0]["formula"]
        run = run_with(tmp_path / "run", trainings=[tuned(first, 0.01, 0.8), tuned(first, 0.1, 0.9)])
        section = section_of(run)
        assert section["rows"] == section["figures"] == []
        assert section["rates"]["rows"][0]["rates"] == "0.1"
        assert "How much the learning rate matters" in Page(write_report(run, SPACE).read_text()).text


@pytest.mark.parametrize("mode", ["search", "compare"])
def test_the_page_has_all_of_it_and_stays_well_formed(tmp_path, losses, mode):
    run = run_with(tmp_path / "run", mode, diagnosis=losses, ablation=TERMS)
    page = Page(write_report(run, SPACE).read_text())
    for words in ("What the loss does", "Which term does the work", "does work", "dotted: cross-entropy"):
        assert words in page.text
    assert len(page.ids) == len(set(page.ids))


def test_a_run_without_any_has_no_section(tmp_path):
    assert section_of(make_run(tmp_path / "run", "train")) is None
    assert "What the loss does" not in Page(write_report(tmp_path / "run", SPACE).read_text()).text
    with open_for_reading(make_run(tmp_path / "unfinished", finished=False)) as run:
        assert diagnosis_section(run, None) is None
