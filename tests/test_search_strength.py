"""The benchmark of search strength: every seed of a search meets one comparison, and what it found is what its tuning chose."""

import json
import sys

import pytest

import jaxloss
from experiments.search_strength import __main__ as command
from experiments.search_strength import table, transfer
from experiments.search_strength.run import overrides_of
from experiments.search_strength.searches import SEARCHES
from experiments.search_strength.tasks import TASKS, StrengthTask
from jaxloss.config.check import acts, asked_by
from jaxloss.config.drawn import drawn_config
from jaxloss.config.file import load_config
from jaxloss.config.schema import keys

SMALL = {
    "comparison.tuning_seeds": "1",
    "comparison.tuning_finalists": "2",
    "comparison.test_seeds": "1",
    "training.num_epochs": "2",
}
SEARCH = {
    "search.num_trainings": "4",
    "search.evolution.initial_population": "2",
    "comparison.rank_seeds": "1",
    "comparison.num_found": "2",
    "filters.rejection.enabled": "false",
}
TINY = StrengthTask("tests/configs/tiny.py", SMALL, SEARCH, rivals=("cross_entropy", "focal"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The figures of two seeds, and the folder of the runs."""
    folder = tmp_path_factory.mktemp("strength")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "tiny", TINY)
        patch.setitem(SEARCHES, "plain", {})
        arguments = ["--tasks", "tiny", "--searches", "plain", "--seeds", "2", "--curve", "2", "4"]
        patch.setattr(sys, "argv", ["search_strength", *arguments, "--workdir", str(folder), "--json", str(folder / "all.json")])
        command.main()
        first = json.loads((folder / "all.json").read_text())["tasks"]["tiny"]
        command.main()
        again = json.loads((folder / "all.json").read_text())["tasks"]["tiny"]
    return first, again, folder


def summary(folder, place):
    return json.loads((folder / "tiny" / place / "summary.json").read_text())


@pytest.mark.slow
def test_every_seed_meets_the_comparison_of_the_rivals(written):
    first, _, folder = written
    pairs = [[pair[:2] for pair in one["scores"]] for one in (*first["searches"]["plain"], *first["rivals"])]
    assert len(pairs) == 2 + 3
    assert all(one == pairs[0] for one in pairs)
    seeds = [json.loads((folder / "tiny" / "plain" / str(seed) / "config.json").read_text())["seed"] for seed in (0, 1)]
    assert seeds == [0, 1]


@pytest.mark.parametrize("task", TASKS)
def test_every_seed_of_a_search_has_the_data_of_the_rivals(task):
    """Divisions, wrong labels, and the images that a long tail leaves: else losses are compared on different data."""

    def data_of(overrides):
        config = drawn_config(load_config(TASKS[task].config, overrides))
        asked, parts = asked_by(config), (f"task.{config.task.name}.", "comparison.seed", "comparison.divisions")
        return {name: asked.values[name] for name, key in keys().items() if name.startswith(parts) and acts(key, asked)}

    assert data_of(overrides_of(task, "strong", 7)) == data_of(TASKS[task].overrides)


@pytest.mark.slow
def test_what_it_found_is_what_the_tuning_chose(written):
    first, _, folder = written
    for one in first["searches"]["plain"]:
        rows = summary(folder, f"plain/{one['seed']}")["comparison"]
        chosen = max(rows, key=lambda row: row["tuned"]["search_eval"])
        assert (one["search_eval"], one["test"]) == (chosen["tuned"]["search_eval"], chosen["tuned"]["test_mean"])


@pytest.mark.slow
def test_the_way_there_is_tested_as_it_was_found(written):
    first, _, folder = written
    points = first["curves"]["plain"]
    assert [(point["seed"], point["trainings"]) for point in points] == [(0, 2), (0, 4), (1, 2), (1, 4)]
    rates = set()
    for point in points:
        (of_run,) = (
            found
            for path in (folder / "tiny" / "plain").glob(f"{point['seed']}_after/*")
            if (found := jaxloss.open_run(path)).config["loss"] == point["formula"]
        )
        assert point["test"] == of_run.comparison()["untuned"][0]["test_mean"]
        rates.add(of_run.config["training"]["learning_rate"])
    with_search = jaxloss.open_run(folder / "tiny" / "plain" / "0")
    assert rates == set(with_search.trainings().query("stage == 'evolution'")["learning_rate"])


@pytest.mark.slow
def test_a_second_command_trains_nothing_and_knows_what_the_first_took(written):
    first, again, _ = written
    assert all(one["processor_seconds"] > 0 for one in first["searches"]["plain"])
    assert again == first


def test_the_best_of_a_group_is_chosen_without_a_look_at_the_test():
    seeds = [{"search_eval": search_eval, "test": test} for search_eval, test in ((3, 0), (1, 9), (2, 8), (1, 5), (1, 6), (4, 7))]
    assert [one["test"] for one in table.best_of_groups(seeds)] == [0, 7]
    assert table.best_of_groups(seeds[:5]) == []


def scored(leads, seed=0):
    """A search that is above a rival of 0.5 by so much on each division, with two training seeds whose effects both share."""
    scores = [(division, luck, 0.5 + luck / 10 + lead) for division, lead in enumerate(leads) for luck in (0, 1)]
    return {"seed": seed, "scores": scores, "test": sum(score for *_, score in scores) / len(scores), "search_eval": 0.5}


def test_a_lead_on_some_divisions_alone_is_none_over_divisions():
    rival = scored((0, 0, 0))
    searches = [scored((0.05 + one / 1000, -0.04, 0.02), one) for one in range(6)]
    alone = table.mean_interval([search["test"] - rival["test"] for search in searches])
    both = table.over_divisions(searches, rival)
    assert alone.low > 0 > both.low
    assert both.mean == pytest.approx(alone.mean)
    line = next(line for line in table.task_table("task", {"rivals": [rival | {"name": "gce"}], "searches": {"own": searches}})
                if line.startswith("| own |"))  # fmt: skip
    assert table.written(alone) in line
    assert table.written(both) in line


def test_a_lead_on_every_division_is_one():
    searches = [scored((0.05 + one / 1000, 0.04, 0.06), one) for one in range(6)]
    assert table.over_divisions(searches, scored((0, 0, 0))).low > 0


@pytest.mark.parametrize("rival", [{}, scored((0, 0))])
def test_without_the_same_trainings_on_both_sides_there_is_no_interval_over_divisions(rival):
    assert table.over_divisions([scored((0.05, 0.04, 0.06))], rival) is None


def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys):
    """The best rival has as many trainings as a search, which has to be as many as those of every tuning."""
    monkeypatch.setitem(TASKS, "tiny", TINY)
    arguments = ["--tasks", "tiny", "--trainings", "3", "--workdir", str(tmp_path), "--json", str(tmp_path / "all.json")]
    monkeypatch.setattr(sys, "argv", ["search_strength", *arguments])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "comparison.best_rival_trainings (3) must be 0, or at least comparison.tuning_trainings (4)" in line


def test_one_search_or_one_division_says_nothing_of_others():
    leads = (0.05, 0.04, 0.06)
    assert table.over_divisions([scored(leads)], scored((0, 0, 0))) is None
    assert table.over_divisions([scored(leads[:1], one) for one in range(6)], scored((0,))) is None


def refused(monkeypatch, capsys, of_command, *arguments):
    """The last line of what a command says to a mistake."""
    monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        of_command.main()
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--curve", "4", "2"), "--curve needs numbers that go up, not 4 2"),
        (("--first_seed", "-1"), "argument --first_seed: '-1' is not a whole number"),
        (("--trainings", "-5"), "argument --trainings: '-5' is not a whole number"),
    ],
)
def test_numbers_that_are_wrong_are_refused(tmp_path, monkeypatch, capsys, arguments, says):
    places = ("--workdir", tmp_path, "--json", tmp_path / "all.json")
    assert says in refused(monkeypatch, capsys, command, *arguments, *places)


def test_a_file_that_is_not_the_benchmarks_is_not_written_over(tmp_path, monkeypatch, capsys):
    path = tmp_path / "notes.json"
    path.write_text("[1]")
    assert "is damaged; give another --json" in refused(monkeypatch, capsys, command, "--workdir", tmp_path, "--json", path)
    assert path.read_text() == "[1]"


def test_a_search_that_is_not_in_the_file_is_one_line(tmp_path, monkeypatch, capsys):
    source = tmp_path / "all.json"
    source.write_text(json.dumps({"tasks": {"digits_70": {"searches": {"scored": [{"seed": 0, "formula": "1"}]}}}}))
    places = ("--found_on", "digits_70", "--task", "digits_60", "--workdir", tmp_path, "--json", tmp_path / "out.json")
    line = refused(monkeypatch, capsys, transfer, "--source", source, *places)
    assert line == f"error: --source {source} has no search strong on digits_70; there is scored on digits_70"
    assert "cannot read" in refused(monkeypatch, capsys, transfer, "--source", tmp_path / "absent", *places)


@pytest.mark.slow
def test_figures_of_other_trainings_are_not_passed_off_as_those_that_are_asked_for(written, monkeypatch, capsys):
    _, _, folder = written
    monkeypatch.setitem(TASKS, "tiny", TINY)
    monkeypatch.setitem(SEARCHES, "plain", {})
    arguments = ("--tasks", "tiny", "--searches", "plain", "--seeds", "1", "--trainings", "6")
    line = refused(monkeypatch, capsys, command, *arguments, "--workdir", folder, "--json", folder / "other.json")
    assert line.endswith("was made with search.num_trainings=4, not 6: give another --workdir")


@pytest.mark.slow
def test_a_search_that_is_named_twice_has_each_seed_once(written, monkeypatch):
    first, _, folder = written
    monkeypatch.setitem(TASKS, "tiny", TINY)
    monkeypatch.setitem(SEARCHES, "plain", {})
    arguments = ["--tasks", "tiny", "tiny", "--searches", "plain", "plain", "--seeds", "2"]
    out = folder / "twice.json"
    monkeypatch.setattr(sys, "argv", ["search_strength", *arguments, "--workdir", str(folder), "--json", str(out)])
    command.main()
    (found,) = json.loads(out.read_text())["tasks"]["tiny"]["searches"].values()
    assert [one["formula"] for one in found] == [one["formula"] for one in first["searches"]["plain"]]


@pytest.mark.slow
def test_table_and_picture(written):
    first, _, folder = written
    text = "\n".join(table.task_table("tiny", first))
    assert "| plain | " in text
    assert "4 tuning trainings" in text
    assert (folder / "all.png").stat().st_size > 1000


@pytest.mark.slow
def test_what_was_found_is_compared_on_another_task_as_its_rivals_are(written, monkeypatch, capsys):
    first, _, folder = written
    monkeypatch.setitem(TASKS, "tiny", TINY)
    arguments = [
        "--source",
        str(folder / "all.json"),
        "--found_on",
        "tiny",
        "--search",
        "plain",
        "--task",
        "tiny",
        "--seeds",
        "2",
    ]
    out = folder / "transfer.json"
    monkeypatch.setattr(sys, "argv", ["transfer", *arguments, "--workdir", str(folder), "--json", str(out)])
    transfer.main()
    of_task = json.loads(out.read_text())["tasks"]["tiny"]
    assert of_task["rivals"] == first["rivals"]
    (moved,) = of_task["searches"].values()
    assert [(one["seed"], one["formula"]) for one in moved] == [
        (one["seed"], one["formula"]) for one in first["searches"]["plain"]
    ]
    assert [pair[:2] for pair in moved[0]["scores"]] == [pair[:2] for pair in first["rivals"][0]["scores"]]
    assert "| found on tiny | " in capsys.readouterr().out
