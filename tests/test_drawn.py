"""`seed` moves everything that is drawn, in every mode, and keys of their own override it."""

import pytest

from jaxloss.config import default_config
from jaxloss.config.drawn import drawn_config
from jaxloss.core.draws import moved
from jaxloss.runs import open_for_reading
from tests.launch.command import run

MODES = {
    "train": ("mode=train", "loss=cross_entropy"),
    "compare": ("mode=compare", "losses=('cross_entropy', 'gce')"),
}


def drawn(**values):
    config = default_config()
    config.update_from_flattened_dict({key.replace("__", "."): value for key, value in values.items()})
    filled = drawn_config(config)
    return filled.comparison.seed, filled.comparison.divisions, filled.task.classification.noise_seed


def test_seed_0_draws_what_was_drawn_before_it_moved_anything():
    assert drawn() == (10_000, (0, 1), 0)


def test_every_seed_draws_for_itself():
    found = [drawn(seed=seed) for seed in (0, 1, 2, 2**30 - 1)]
    for numbers in zip(*found, strict=True):
        assert len(set(numbers)) == len(found)
    divisions = [division for _, own, _ in found for division in own]
    assert len(set(divisions)) == len(divisions)
    assert all(0 <= number < 2**30 for number in divisions)
    assert len({moved(0, seed) for seed in range(1000)}) == 1000


def test_keys_of_their_own_override_the_seed():
    own = {"comparison__seed": 5, "comparison__divisions": (7,), "task__classification__noise_seed": 3}
    assert drawn(seed=1, **own) == drawn(seed=2, **own) == (5, (7,), 3)
    assert drawn(seed=1, comparison__seed=5)[1:] == drawn(seed=1)[1:]
    assert len(drawn(comparison__num_divisions=4)[1]) == 4


def test_a_drawn_config_stays_as_it_is():
    once = drawn_config(default_config())
    assert drawn_config(once) == once


# A comparison trains too.
@pytest.mark.parametrize("mode", [pytest.param(one, marks=pytest.mark.slow) if one == "train" else one for one in MODES])
def test_another_seed_gives_another_row(tmp_path, mode):
    """Other networks on other divisions, hence other scores; a second run with a seed gives the same."""

    def row(seed, name):
        path = tmp_path / name
        assert run(path, *MODES[mode], f"seed={seed}", "training.num_epochs=1.0") == 0
        with open_for_reading(path) as opened:
            summary, config = opened.read_summary(), opened.config
        result = summary["comparison"][0]["tuned"]
        assert {division for division, _, _ in result["scores"]} == set(config["comparison"]["divisions"])
        assert min(own for _, own, _ in result["scores"]) == config["comparison"]["seed"] + 2000
        return [score for _, _, score in result["scores"]]

    rows = [row(seed, f"seed {seed}") for seed in (0, 1)]
    assert rows[0] != rows[1]
    assert row(1, "again") == rows[1]
