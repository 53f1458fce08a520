"""Keypoints as pictures: the true ones, and those that a network finds, with a line to where they should be."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.data.keypoints.source import IMAGE, KEYPOINTS, VISIBLE
from jaxloss.tasks.pictures import LegendEntry, Pictures, Sheet
from jaxloss.tasks.pose.measures import PoseMeasures
from jaxloss.tasks.segmentation.palette import COLOURS

TRUTH, FOUND, CORRECT = "truth", "found", "correct"
_WIDTH, _RADIUS, _CASING = 480, 7, 2
_SWATCH = (16, 24)
_GROUND = 90
_WHITE, _BLACK = np.array([255] * 3, np.uint8), np.array([0] * 3, np.uint8)


def make_pictures(
    find: Callable[[PyTree, Array], tuple[Array, Array]], measures: PoseMeasures, keypoint_names: Sequence[str]
) -> Pictures:
    """Pictures of keypoints.

    Args:
      find: `(variables, images) -> (keypoints [N, K, 2], peaks [N, K])`, in evaluation mode.
      measures: says which keypoints are correct.
      keypoint_names: `[K]`.
    """

    def outputs(variables: PyTree, examples: Mapping[str, Array]) -> dict[str, Array]:
        """The keypoints in pixels of the input, float32 `[N, K, 2]`, and whether they are correct, bool `[N, K]`."""
        found, _ = find(variables, examples[IMAGE])
        return {FOUND: found, CORRECT: measures.correct(found, examples)}

    return Pictures(outputs, functools.partial(draw, keypoint_names))


def draw(
    keypoint_names: Sequence[str], examples: Mapping[str, np.ndarray], outputs: Mapping[str, Mapping[str, np.ndarray]]
) -> Sheet:
    """The images with their true keypoints, and with those of each network; keypoints that are not visible are not drawn.

    Args:
      keypoint_names: `[K]`.
      examples: a split of a pose task, in NumPy arrays, `[n, ...]`.
      outputs: name of a network -> its `FOUND`, `[n, K, 2]`, and `CORRECT`, bool `[n, K]`.
    """
    scale = max(1, _WIDTH // examples[IMAGE].shape[2])
    large = examples[IMAGE].repeat(scale, axis=1).repeat(scale, axis=2)
    colours = COLOURS[np.arange(len(keypoint_names)) % len(COLOURS)]

    def middles(keypoints: np.ndarray) -> np.ndarray:
        return (keypoints + 0.5) * scale - 0.5

    columns = {TRUTH: large.copy(), **{name: large.copy() for name in outputs}}
    for row, k in zip(*np.nonzero(examples[VISIBLE]), strict=True):
        true = middles(examples[KEYPOINTS][row, k])
        _disc(columns[TRUTH][row], true, colours[k])
        for name, one in outputs.items():
            found = middles(one[FOUND][row, k])
            if not one[CORRECT][row, k]:
                _line(columns[name][row], found, true)
            _disc(columns[name][row], found, colours[k])
    legend = [LegendEntry(name, _swatch(colour)) for name, colour in zip(keypoint_names, colours, strict=True)]
    wrong = np.full((*_SWATCH, 3), _GROUND, np.uint8)
    _line(wrong, np.array([2, 8]), np.array([21, 8]))
    legend.append(LegendEntry("from a wrong place to the right one", wrong))
    return Sheet(columns, tuple(legend), "A place is wrong that is farther off than the share of a length that the PCK allows.")


def _disc(picture: np.ndarray, middle: np.ndarray, colour: np.ndarray) -> None:
    """Draws a disc with a white casing into a picture uint8 `[h, w, 3]`; `middle` is x and y."""
    away = np.hypot(np.arange(picture.shape[0])[:, None] - middle[1], np.arange(picture.shape[1]) - middle[0])
    picture[away <= _RADIUS] = _WHITE
    picture[away <= _RADIUS - _CASING] = colour


def _line(picture: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Draws a white line with a black casing from place to place, x and y."""
    steps = int(np.ceil(2 * np.hypot(*(end - start)))) + 1
    places = np.round(start + np.linspace(0, 1, steps)[:, None] * (end - start)).astype(int)
    for reach, colour in ((2, _BLACK), (1, _WHITE)):
        for x, y in places:
            picture[max(y - reach, 0) : max(y + reach + 1, 0), max(x - reach, 0) : max(x + reach + 1, 0)] = colour


def _swatch(colour: np.ndarray) -> np.ndarray:
    picture = np.full((*_SWATCH, 3), _GROUND, np.uint8)
    _disc(picture, np.array([_SWATCH[1] / 2, _SWATCH[0] / 2]), colour)
    return picture
