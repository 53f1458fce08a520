"""A run on the terminal while another process writes it."""

import contextlib
import io
import math

import pytest
from rich.console import Console

from jaxloss.config import default_config
from jaxloss.report import __main__ as command
from jaxloss.report.page import write_report
from jaxloss.report.terminal import BLOCKS, frame, sparkline
from jaxloss.report.timing import Look, Pace, look_at, planned_trainings
from jaxloss.runs import RunDirectory, TrainingRow
from jaxloss.runs.archive import CLOCK, Archive
from jaxloss.runs.archive import CONFIG as STORED_CONFIG
from jaxloss.runs.directory import open_for_reading
from tests.report.finished_run import CONFIG, COUNTS, FORMULAS, make_run, summary_of


class Ascii(io.StringIO):
    encoding = "ascii"


def rank(path, trainings):
    """Stores trainings of the ranking, `(formula, seed, rate, score)`, in a run that ranks by the seeds 5 and 6."""
    rows = [
        TrainingRow(
            stage="rank",
            loss=formula,
            formula=formula,
            hyperparameters={},
            learning_rate=rate,
            seed=seed,
            division=0,
            evaluated_on="search_eval",
            score=score,
            steps=9,
        )
        for formula, seed, rate, score in trainings
    ]
    with Archive(path / "archive.sqlite") as archive:
        config = archive.state(STORED_CONFIG) | {"comparison": {"seed": 5, "rank_seeds": 2}}
        archive.commit(trainings=rows, state={STORED_CONFIG: config})


def shown(path, width=116, file=None):
    file = file or io.StringIO()
    console = Console(file=file, width=width, highlight=False)
    with open_for_reading(path) as run:
        console.print(frame(run, Pace(), 0.0, console))
    return file.getvalue()


class TestFrame:
    def test_of_an_unfinished_search(self, tmp_path):
        text = shown(make_run(tmp_path / "run", finished=False))
        lines = text.splitlines()
        assert lines[0].startswith("run: loss search")
        assert "test tuned: 70 trainings" in text
        assert any(line.startswith("best so far: 0.9") for line in lines)
        assert any(line.strip() in FORMULAS for line in lines)
        (drawn,) = [line for line in lines if line.startswith("losses drawn")]
        assert f"{COUNTS['proposed']:,}" in drawn
        assert "█" in drawn
        assert any(line.startswith("best of evolution") and BLOCKS[-1] in line for line in lines)
        assert any(line.startswith("best of random search") for line in lines)
        assert sum(formula in line for line in lines for formula in FORMULAS) >= 8

    def test_of_a_finished_run_says_how_it_ended(self, tmp_path):
        text = shown(make_run(tmp_path / "run"))
        assert "finished, after 140 trainings" in text
        assert "ahead of the best tuned rival" in text
        assert "best: accuracy" in text

    def test_scores_on_fresh_seeds_are_shown_as_soon_as_a_loss_has_all_of_them(self, tmp_path):
        path = make_run(tmp_path / "run", finished=False)
        text = shown(path)
        assert "the best losses, by search " in text
        assert "fresh" not in text
        # Two of two trainings, one of which was stopped by NaN; one of two; and one that another rate has left behind.
        half, whole, former = list(FORMULAS)[:3]
        rank(
            path,
            [(former, 5, 0.1, 0.7), (former, 6, 0.1, 0.7), (half, 5, 0.3, 0.99), (whole, 5, 0.3, 0.5), (whole, 6, 0.3, None)],
        )
        text = shown(path)
        assert "best so far: 0.2500 on fresh seeds, 0.9" in text
        assert "the best losses, by search and fresh seeds" in text
        lines = text.splitlines()
        rows = [line.split() for line in lines[-1 - [line.split() for line in lines[::-1]].index(["search", "fresh", "loss"]) :]]
        assert rows[2][0] == "1"
        assert rows[2][2:4] == ["0.2500", whole.split()[0]]
        assert "0.9900" not in text
        assert "0.7000" not in text
        page = write_report(path).read_text()
        assert "0.2500 <small>fresh seeds</small>" in page
        assert "First those that were trained on all fresh seeds already" in page

    @pytest.mark.parametrize("width", [40, 80])
    def test_it_fits_a_narrow_terminal_that_knows_ascii_alone(self, tmp_path, width):
        text = shown(make_run(tmp_path / "run", finished=False), width, Ascii())
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= width
        assert all(f"{row} |" in text for row in range(1, 9))

    def test_of_a_run_that_has_done_nothing(self, tmp_path):
        with RunDirectory.open(tmp_path / "run", CONFIG):
            assert "nothing is trained yet" in shown(tmp_path / "run")

    def test_it_and_the_page_say_whether_a_process_is_at_work(self, tmp_path):
        path = make_run(tmp_path / "run", finished=False)
        for is_left in (True, False):
            with contextlib.nullcontext() if is_left else RunDirectory.open(path, CONFIG):
                text, page = shown(path, 60), write_report(path).read_text()
            assert ("stopped: no process is at work on it" in text) == is_left
            assert ("No process was at work on it" in page) == is_left
        finished = make_run(tmp_path / "finished")
        assert "at work" not in shown(finished) + write_report(finished).read_text()

    @pytest.mark.parametrize("mode", ["compare", "train"])
    def test_of_other_modes(self, tmp_path, mode):
        assert "finished" in shown(make_run(tmp_path / "run", mode))


class TestSparkline:
    def test_from_low_to_high(self):
        assert sparkline([0.0, 0.5, 1.0], 10, "abc") == "abc"
        assert sparkline([math.nan, 0.2, 0.2], 10, "abc") == " cc"
        assert sparkline([math.nan], 10) == sparkline([], 10) == ""

    def test_many_values_share_places_and_the_last_is_shown(self):
        assert sparkline([value for value in range(4) for _ in range(25)], 4, "0123") == "0123"
        assert sparkline([*[0.0] * 999, 1.0], 5, "01") == "00001"


class TestTiming:
    def test_what_a_config_plans(self):
        config = default_config().to_dict()
        config["comparison"] |= {"num_divisions": 2, "divisions": (), "handcrafted": ("mae", "gce"), "test_seeds": 5}
        config["comparison"] |= {"num_found": 3, "tuning_trainings": 24, "rank_candidates": 8, "rank_seeds": 3}
        config["search"] |= {"num_trainings": 100, "restarts": 2, "calibration_trainings": 10}
        planned = planned_trainings(config)
        assert planned == {
            **{"calibrate": 10, "evolution": 90, "evolution 2": 90, "random_search": 90, "random_search 2": 90},
            **{"rank": 48, "rank random_search": 48, "tune": 14 * 24, "test untuned": 140, "test tuned": 140},
        }
        config["search"]["control"] = False
        assert "random_search" not in planned_trainings(config)
        compared = planned_trainings({**config, "mode": "compare", "losses": ("mae", "gce")})
        assert compared == {"tune": 48, "test untuned": 20, "test tuned": 20}
        assert planned_trainings({**config, "mode": "train"}) == {"train": 10}
        assert planned_trainings({"mode": "search"}) == {}

    def test_the_pace_is_that_of_the_last_looks(self):
        def look(done, elsewhere=0):
            return Look("evolution", done, 100, done, done, 200, elsewhere, 0.5, 50.0)

        pace = Pace()
        # By the wall time of the archive first, 5 s each; then by what was done since.
        assert pace.seconds_left(look(10), 1000.0) == pytest.approx(190 * 5)
        assert pace.seconds_left(look(12), 1002.0) == pytest.approx(188 * 50 / 12)
        assert pace.seconds_left(look(20), 1010.0) == pytest.approx(180 * 1.0)
        assert pace.seconds_left(look(20, elsewhere=100), 1010.0) == pytest.approx(80 * 1.0 + 100 * 0.5)
        assert Pace().seconds_left(look(0), 0.0) is None

    def test_a_look_counts_stages(self, tmp_path):
        path = make_run(tmp_path / "run", finished=False)
        with RunDirectory.open(path, CONFIG) as run:
            run.archive.commit(state={CLOCK: {"seconds": 7.5}})
            found = look_at(run)
        assert (found.stage, found.stage_done, found.trainings, found.seconds) == ("test tuned", 70, 140, 7.5)
        assert found.planned is None  # its config says nothing of a comparison


class TestCommand:
    def test_shows_once_and_writes_nothing(self, tmp_path, capsys):
        run = make_run(tmp_path / "run", finished=False)
        before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
        assert command.main([str(run), "--terminal"]) == 0
        assert "best so far" in capsys.readouterr().out
        assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before

    def test_follows_a_run_to_its_end(self, tmp_path, monkeypatch, capsys):
        run, slept = make_run(tmp_path / "run", finished=False), []

        def sleep(seconds):
            slept.append(seconds)
            with RunDirectory.open(run, CONFIG) as opened:
                opened.write_summary(summary_of("search"))

        monkeypatch.setattr(command.time, "sleep", sleep)
        assert command.main([str(run), "--terminal", "--follow"]) == 0
        assert slept == [2.0]
        assert "finished" in capsys.readouterr().out
        assert not (run / "report.html").exists()

    @pytest.mark.parametrize("further", [["--csv", "file"], ["--follow", "0"], ["--follow", "nan"]])
    def test_mistakes_are_one_line(self, tmp_path, capsys, further):
        assert command.main([str(make_run(tmp_path / "run")), "--terminal", *further]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
