"""Label maps as pictures: the classes in colours, void hatched, and the boundaries that a network misses or makes up."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import Array, PyTree
from jaxloss.core.windows import any_within
from jaxloss.tasks.data.masks.pairs import IMAGE, MASK
from jaxloss.tasks.data.masks.source import VOID
from jaxloss.tasks.metrics.segmentation.boundary_rule import BoundaryRule
from jaxloss.tasks.metrics.segmentation.classes import class_bits, has_class, predicted_classes
from jaxloss.tasks.metrics.segmentation.targets import prepare_targets
from jaxloss.tasks.pictures import LegendEntry, Pictures, Sheet
from jaxloss.tasks.segmentation.palette import colours_by_frequency

TRUTH = "truth"
CLASSES = "classes"
WRONG = MISSED, MADE_UP = ("missed", "made_up")
_WORDS = {MISSED: "a boundary that is missed", MADE_UP: "a boundary where there is none"}
# Wide enough for lines that are thinner than a position of a small map.
_WIDTH = 480
_LINE_WIDTH = 6
_BLACK, _WHITE, _GREY, _LIGHT, _MIDDLE = (np.array([shade] * 3, np.uint8) for shade in (0, 255, 120, 190, 150))
# Of core and casing.
LINES = {MISSED: (_WHITE, _BLACK), MADE_UP: (_BLACK, _WHITE)}
_SWATCH = (16, 24)


def make_pictures(predict: Callable[[PyTree, Array], Array], class_names: Sequence[str], rule: BoundaryRule) -> Pictures:
    """Pictures of label maps.

    Args:
      predict: `(variables, images) -> logits [N, H, W, C]`, in evaluation mode, of the size of the images.
      class_names: `[C]`.
      rule: what a boundary is, and how far one may be away that meets it.
    """
    num_classes = len(class_names)

    def outputs(variables: PyTree, examples: Mapping[str, Array]) -> dict[str, Array]:
        """The predicted classes, uint8 `[N, H, W]`, 255 where there is none, and what is wrong with their boundaries."""
        classes = predicted_classes(predict(variables, examples[IMAGE]), num_classes)
        wrong = wrong_boundaries(examples[MASK], classes, num_classes, rule)
        return {CLASSES: jnp.where(classes < num_classes, classes, VOID).astype(jnp.uint8), **wrong}

    return Pictures(outputs, functools.partial(draw, class_names, rule))


def draw(
    class_names: Sequence[str],
    rule: BoundaryRule,
    examples: Mapping[str, np.ndarray],
    outputs: Mapping[str, Mapping[str, np.ndarray]],
) -> Sheet:
    """The images, their labels, and the predictions of each network with its wrong boundaries.

    Args:
      class_names: `[C]`.
      rule: of boundaries.
      examples: `image` uint8 `[n, H, W, 3]`, `mask` uint8 `[n, H, W]`.
      outputs: name of a network -> its `CLASSES`, uint8 `[n, H, W]`, and `WRONG` boundaries, bool `[n, H, W]` each.
    """
    labels, num_classes = examples[MASK], len(class_names)
    void = labels >= num_classes
    maps = [labels, *(one[CLASSES] for one in outputs.values())]
    shown = np.stack([np.where(void, VOID, one) for one in maps])
    counts = np.bincount(shown.ravel(), minlength=VOID + 1)[:num_classes]
    colours = colours_by_frequency(counts)
    table = np.full((VOID + 1, 3), _WHITE, np.uint8)
    table[:num_classes] = colours
    scale = max(1, _WIDTH // labels.shape[2])
    columns = {IMAGE: examples[IMAGE], TRUTH: _with_void(_enlarged(table[labels], scale), _enlarged(void, scale))}
    for name, one in outputs.items():
        picture = _with_void(_enlarged(table[one[CLASSES]], scale), _enlarged(void, scale))
        for kind, line in LINES.items():
            picture = _with_lines(picture, _thick(one[kind], scale), *line)
        columns[name] = picture
    legend = [LegendEntry(class_names[index], _swatch(colours[index])) for index in np.flatnonzero(counts)]
    size = " x ".join(map(str, labels.shape[1:]))
    note = f"A boundary is right within {rule.tolerance} pixels of the label map, which has {size}."
    return Sheet(columns, (*legend, *_legend_of_lines(), _legend_of_void()), note)


def wrong_boundaries(labels: Array, predicted: Array, num_classes: int, rule: BoundaryRule) -> dict[str, Array]:
    """The positions on boundaries that cost a network its boundary F1 (pure).

    Args:
      labels: int `[N, H, W]`, the true classes; what is no class is void.
      predicted: int `[N, H, W]`, see `classes.predicted_classes`.
      num_classes: `C`.
      rule: of boundaries, and of how far away one of the same class may be.

    Returns:
      `MISSED`: true boundaries that no predicted one is near; `MADE_UP`: predicted ones that no true one is near, those inside
      void aside. Both bool `[N, H, W]`.
    """
    targets = prepare_targets(labels, num_classes, rule)
    edges = rule.edges(predicted, num_classes, targets.valid)
    near = any_within(class_bits(predicted, edges, num_classes), rule.tolerance)
    return {
        MISSED: targets.edges & ~has_class(near, targets.classes),
        MADE_UP: edges & ~has_class(targets.near, predicted) & targets.valid,
    }


def _enlarged(maps: np.ndarray, scale: int) -> np.ndarray:
    """Maps `[n, H, W, ...]`, each position a square of so many pixels."""
    return maps.repeat(scale, axis=1).repeat(scale, axis=2)


def _with_void(pictures: np.ndarray, void: np.ndarray) -> np.ndarray:
    """Pictures `[n, h, w, 3]` with what is void hatched."""
    rows, columns = np.indices(void.shape[1:])
    hatched = np.where(((rows + columns) % 8 < 2)[..., None], _GREY, _LIGHT)
    return np.where(void[..., None], hatched, pictures)


def _with_lines(pictures: np.ndarray, lines: np.ndarray, core: np.ndarray, casing: np.ndarray) -> np.ndarray:
    """Pictures with lines, bool `[n, h, w]`, whose casing tells them from what is behind, whatever that is."""
    drawn = np.where(lines[..., None], casing, pictures)
    return np.where(~_grown(~lines, 1)[..., None], core, drawn)


def _thick(lines: np.ndarray, scale: int) -> np.ndarray:
    """Lines one position wide, enlarged, and as wide as a core and a casing need: they hide what they are drawn over."""
    enlarged = _enlarged(lines, scale)
    if scale > _LINE_WIDTH:
        return ~_grown(~enlarged, (scale - _LINE_WIDTH) // 2)
    return _grown(enlarged, (_LINE_WIDTH - scale + 1) // 2)


def _grown(marks: np.ndarray, steps: int) -> np.ndarray:
    """Marks, bool `[n, h, w]`, with all that is so many pixels away at most, in each direction."""
    for axis in (1, 2) * steps:
        grown, marks = marks.copy(), np.moveaxis(marks, axis, 0)
        view = np.moveaxis(grown, axis, 0)
        view[1:] |= marks[:-1]
        view[:-1] |= marks[1:]
        marks = grown
    return marks


def _swatch(colour: np.ndarray) -> np.ndarray:
    return np.broadcast_to(colour, (*_SWATCH, 3)).copy()


def _legend_of_void() -> LegendEntry:
    return LegendEntry("void, which counts nowhere", _with_void(_swatch(_LIGHT)[None], np.ones((1, *_SWATCH), bool))[0])


def _legend_of_lines() -> tuple[LegendEntry, ...]:
    """Of both kinds of wrong boundaries, on the grey that is in no picture by itself."""
    line = np.zeros((1, *_SWATCH), bool)
    line[:, _SWATCH[0] // 2 - 3 : _SWATCH[0] // 2 + 3] = True
    ground = _swatch(_MIDDLE)[None]
    return tuple(LegendEntry(_WORDS[kind], _with_lines(ground, line, *LINES[kind])[0]) for kind in LINES)
