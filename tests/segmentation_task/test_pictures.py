"""Pictures of label maps: what is marked in them, and colours that anybody can tell apart."""

import itertools

import jax
import numpy as np
import pytest

from jaxloss.execution.base import Trial
from jaxloss.spaces.families import family
from jaxloss.tasks.base import TEST
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.segmentation.palette import COLOURS, colours_by_frequency
from jaxloss.tasks.segmentation.pictures import CLASSES, MADE_UP, MISSED, draw, wrong_boundaries
from jaxloss.tasks.settings import TrainingSettings
from tests.execution.trainings import make as make_execution
from tests.execution.trainings import outcomes

NAMES, RULE = ("left", "right", "absent"), BoundaryRule(1, 1, "ignored")
SETTINGS = TrainingSettings(optimiser="adam", batch_size=4, num_epochs=2)


def halves(column):
    """A label map `[1, 6, 12]` of two classes, its last row void."""
    labels = np.zeros((1, 6, 12), np.uint8)
    labels[:, :, column:] = 1
    labels[:, -1] = 255
    return labels


def outputs_of(labels, predicted):
    wrong = jax.jit(lambda *maps: wrong_boundaries(*maps, len(NAMES), RULE))(labels, predicted.astype(np.int32))
    return {CLASSES: predicted, **jax.tree.map(np.asarray, wrong)}


@pytest.mark.parametrize(("column", "is_right"), [(6, True), (7, True), (9, False)])
def test_a_boundary_beyond_the_tolerance_is_missed_at_one_place_and_made_up_at_another(column, is_right):
    predicted = halves(column)
    predicted[:, -1] = 0
    wrong = outputs_of(halves(6), predicted)
    for kind, columns in ((MISSED, (5, 6)), (MADE_UP, (column - 1, column))):
        expected = np.zeros((1, 6, 12), bool)
        if not is_right:
            expected[:, :5, columns] = True
        np.testing.assert_array_equal(wrong[kind], expected)


def test_classes_that_are_seen_are_in_the_legend_void_is_hatched_and_lines_are_black_and_white():
    labels, image = halves(6), np.full((1, 6, 12, 3), 90, np.uint8)
    sheet = draw(NAMES, RULE, {"image": image, "mask": labels}, {"one": outputs_of(labels, halves(9))})
    assert list(sheet.columns) == ["image", "truth", "one"]
    assert [key.words for key in sheet.legend[:2]] == ["left", "right"]
    assert not any("absent" in key.words for key in sheet.legend)
    truth, one = sheet.columns["truth"][0], sheet.columns["one"][0]
    left, right = (key.swatch[0, 0] for key in sheet.legend[:2])
    # Each position is a square of 40 pixels.
    assert (truth[20, 20] == left).all()
    assert (truth[20, -20] == right).all()
    assert len(np.unique(truth[-40:].reshape(-1, 3), axis=0)) == 2
    np.testing.assert_array_equal(truth[-40:], one[-40:])
    assert {0, 255} <= {int(pixel[0]) for pixel in one[:200].reshape(-1, 3) if pixel.min() == pixel.max()}
    assert (one[20, 20] == left).all()


@pytest.mark.parametrize("modes", [("serial",), pytest.param(("serial", "vmap"), marks=pytest.mark.slow)])
def test_a_network_is_shown_by_what_it_predicts_in_every_execution(task, modes):
    """The classes of the scored network, and nothing where it was not asked for."""
    loss = family("cross_entropy")
    trials = [Trial(loss, {}, 0.02, 0, 0, TEST, num_steps=2, show=show) for show in (True, False)]
    found = {mode: outcomes(make_execution(mode, task, SETTINGS), trials) for mode in modes}
    for shown, not_shown in found.values():
        assert not_shown.shown is None
        assert {name: (array.dtype, array.shape) for name, array in shown.shown.items()} == {
            CLASSES: (np.uint8, (3, 24, 32)),
            MISSED: (bool, (3, 24, 32)),
            MADE_UP: (bool, (3, 24, 32)),
        }
    masks = np.asarray(task.data[TEST]["mask"])
    shown = found["serial"][0]
    right = (shown.shown[CLASSES] == masks)[masks != 255].mean()
    assert right == pytest.approx(shown.scores["global_accuracy"], abs=1e-6)
    for other, _ in found.values():
        assert np.mean(shown.shown[CLASSES] == other.shown[CLASSES]) > 0.99


# Machado et al., IEEE TVCG 2009, severity 1: on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]


def lab(colours, sight):
    """CIE 1976 L*a*b* of sRGB colours as an eye sees them."""
    values = colours / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.transpose(sight), 0, 1) @ np.transpose(XYZ) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_eye_tells_the_colours_apart(sight):
    seen = lab(COLOURS, SIGHTS[sight])
    for count, distance in ((12, 15), (24, 10)):
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen[:count], 2)) > distance
    assert 20 < seen[:, 0].min() <= seen[:, 0].max() < 92


def test_what_takes_most_room_has_the_first_colours():
    colours = colours_by_frequency(np.array([5, 0, 90, 40]))
    np.testing.assert_array_equal(colours[[2, 3, 0]], COLOURS[:3])
    assert colours_by_frequency(np.arange(200)).shape == (200, 3)
