"""A whole search for a loss of boxes, from the command line: the fixed branch, the funnel, and going on where it was stopped."""

import dataclasses

import pytest

from jaxloss.config import default_config, wiring
from jaxloss.config.choosers import make_chooser
from jaxloss.core.errors import UserError
from jaxloss.report.funnel import make_funnel
from jaxloss.runs import Archive, open_for_reading
from jaxloss.study.declared_filters import filter_declarations
from tests.launch.command import REPOSITORY, run
from tests.workshop import Stopped, StopsAfter, Workshop

TINY = "tests/configs/tiny_boxes.py"
GIOU = "Add(Sub(1, Div(intersection, union)), Div(Sub(enclosing, union), enclosing))"


@pytest.fixture(scope="module")
def shop():
    return Workshop(REPOSITORY / TINY)


@pytest.fixture(scope="module")
def whole(shop, tmp_path_factory):
    """An undisturbed search: its loop, its archive's rows, and all that the archive holds."""
    with Archive(tmp_path_factory.mktemp("boxes") / "whole.sqlite") as archive:
        loop = shop.loop(archive)
        loop.run()
        return loop, archive.candidates(search="generations"), archive.comparable()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a run."""
    folder = tmp_path_factory.mktemp("boxes") / "run"
    assert run(folder, config=TINY) == 0
    return folder


def test_the_predefined_loss_is_trained_first_and_its_offspring_after_it(whole):
    trained = [row for row in whole[1] if row.training]
    assert len(trained) == 7
    assert (trained[0].formula, trained[0].origin, trained[0].parent) == (GIOU, "seed", None)
    assert all(row.parent is not None and row.parent < row.proposal for row in trained[1:])
    # The first generation has no other parent, and promises as much as that does, but for the slack.
    first = [row for row in trained if row.parent == 0]
    assert trained[1] in first
    assert all(row.gain >= trained[0].gain - 0.05 - 1e-6 for row in first)


def test_the_funnel_shows_the_stages(shop, whole):
    funnel = make_funnel(whole[0].counts.to_json(), filter_declarations(shop.cascades, None, selects=True))
    titles = [bar.title for bar in funnel.bars]
    assert titles == [
        "losses drawn",
        "passed a look at the leaves",
        "passed one gradient",
        "passed convergence property verification",
        "passed the memory of rejected losses",
        "passed model optimisation simulation",
        "passed the selection of the best of a generation",
        "trained on the proxy task",
        "have a score",
    ]
    counts = [bar.count for bar in funnel.bars]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 7
    # The seed, and whole generations of 40, but for those who wait for a larger budget.
    assert 0 <= -(counts[0] - 1) % 40 <= 3
    assert counts[3] < counts[2]


@pytest.mark.slow
def test_the_page_and_the_table_name_the_fixed_loss_and_the_rivals(finished):
    page = (finished / "report.html").read_text()
    for words in ("loss of the branch classification", "sigmoid_focal", "convergence property verification"):
        assert words in page
    with open_for_reading(finished) as opened:
        summary = opened.read_summary()
    assert {"giou", "ciou"} < {row["name"] for row in summary["comparison"]}
    assert set(summary["compilations"].values()) == {1}


@pytest.mark.slow
def test_the_fixed_branch_learns_beside_the_candidate(tmp_path):
    """Scores of classes are no better than chance where their branch has no loss."""
    found = {}
    for loss in ("sigmoid_focal", "none"):
        folder = tmp_path / loss
        assert run(folder, "mode=train", "loss=giou", f"space.cse_autoloss.fixed_loss={loss}", config=TINY) == 0
        with open_for_reading(folder) as opened:
            (row,) = opened.read_summary()["comparison"]
        found[loss] = row["tuned"]["test_means"]
    assert found["sigmoid_focal"]["iou"] == pytest.approx(found["none"]["iou"], abs=1e-5)
    assert found["sigmoid_focal"]["precision"] > found["none"]["precision"] + 0.1


def test_a_search_that_is_stopped_anywhere_ends_as_an_undisturbed_one(shop, whole, tmp_path):
    for stop in (0, 1, 2, 4):
        with Archive(tmp_path / f"{stop}.sqlite") as archive:
            with pytest.raises(Stopped):
                shop.loop(archive, StopsAfter(shop.execution, stop)).run()
            shop.loop(archive).run()
            assert archive.comparable() == whole[2], stop


def test_nothing_is_compiled_for_a_candidate(shop, whole):
    assert shop.cascades["regression"].compilations == {"gradient": 1, "convergence": 1, "simulation": 1}
    assert {name: count for name, count in shop.execution.compilations.items() if count} == {"training cse_autoloss": 1}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("space.cse_autoloss.fixed_loss=cross_entropi", "'cross_entropi'. Did you mean 'cross_entropy'?"),
        ("space.cse_autoloss.fixed_loss=arcface", "'arcface' of the branch classification needs the input 'cosine'"),
        ("search.seeds=('gious',)", "'gious'. Did you mean 'giou'?"),
        ("search.surrogate.candidates=4", "it is read by another search.name than generations"),
    ],
)
def test_a_mistake_is_one_line(override, says, tmp_path, capsys):
    assert run(tmp_path / "run", override, config=TINY) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_branch_that_the_task_lacks_is_named(tmp_path, capsys):
    assert run(tmp_path / "run", "task.name=fast", config=TINY) == 2
    assert "the task fast has no branch but 'classification', whose loss is fixed" in capsys.readouterr().err


def test_a_space_that_chooses_by_itself_is_refused():
    """The best of a generation are kept by what the filters found: a chooser would have no say."""
    config = default_config("autoloss_gms")
    config.search.name = "generations"
    space = wiring.make_space(config)
    chooses = dataclasses.replace(space, make_chooser=lambda context: LongestFormula())
    with pytest.raises(UserError, match="keeps the best of a generation by its filters, and the space autoloss_gms chooses"):
        make_chooser(config, chooses, {}, None, None)


class LongestFormula:
    def candidates(self, num_evaluated):
        return 2

    def choose(self, evaluated, candidates):
        return max(range(len(candidates)), key=lambda index: len(candidates[index]))
