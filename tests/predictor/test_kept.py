"""The predictor that a run keeps is taken up by the run that goes on, and is fitted again where it is not the run's own."""

import numpy as np
import pytest

from jaxloss.runs import Checkpoints
from jaxloss.search.base import Individual
from jaxloss.systems.autoloss_gms.curve_chooser import CurveChooser
from jaxloss.systems.autoloss_gms.predictor import chooser as algorithm
from jaxloss.systems.autoloss_gms.properties import CurveFilter
from jaxloss.systems.autoloss_gms.settings import ChooserSettings, PredictorSettings, PropertySettings
from jaxloss.systems.autoloss_gms.space import autoloss_gms

SPACE = autoloss_gms()
LOSSES = [f"t: x | n: Minus(x, {margin}) | log2_s: 4" for margin in (0.1, 0.2, 0.3, 0.4)]
EVALUATED = [Individual(number, text, 0.1 * number, True) for number, text in enumerate(LOSSES)]
SETTINGS = ChooserSettings(start_after=4, update_every=4, candidates=2)


@pytest.fixture
def fits(monkeypatch):
    """A line for each fit."""
    done, update = [], algorithm.PromisingLossChooser.update

    def counted(self, features, scores):
        done.append(len(scores))
        update(self, features, scores)

    monkeypatch.setattr(algorithm.PromisingLossChooser, "update", counted)
    return done


def choose(checkpoints, **predictor):
    """What a run chooses that has just begun, or goes on."""
    settings = PredictorSettings(num_epochs=1, width=2, batch_size=2, **predictor)
    (branch,) = SPACE.branches
    describer = CurveFilter(branch.form, PropertySettings())
    return CurveChooser(SPACE, describer, SETTINGS, settings, 0, checkpoints).choose(EVALUATED, LOSSES)


def broken(checkpoints, folder):
    (version,) = (folder / "predictor").iterdir()
    (version / "_METADATA").write_text("[]")


@pytest.mark.parametrize(
    "damage",
    [
        broken,
        lambda checkpoints, _: checkpoints.save("predictor", {"conv": np.ones((3, 3))}),
        lambda checkpoints, _: checkpoints.save("predictor", [np.ones(3)]),
        lambda checkpoints, _: checkpoints.save(
            "predictor", {"digest": np.zeros(16, np.uint8), "predictor": np.zeros(9, np.uint8)}
        ),
    ],
)
def test_one_that_is_damaged_or_of_something_else_is_fitted_again(tmp_path, fits, damage):
    checkpoints = Checkpoints(tmp_path)
    chosen = choose(checkpoints)
    assert choose(checkpoints) == chosen
    assert fits == [4]
    damage(checkpoints, tmp_path)
    assert choose(checkpoints) == chosen
    assert fits == [4, 4]
    assert choose(checkpoints) == chosen
    assert fits == [4, 4]
