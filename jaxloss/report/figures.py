"""The figures of the report: matplotlib draws them, the page colours them, so that they fit light and dark alike."""

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from jaxloss.report.curves import SearchCurve
from jaxloss.report.words import MINUS
from jaxloss.spaces.drawing import OTHER, OWN, REFERENCE, WHOLE, Panel

# A colour here is only a name: the page says what it is in each colour scheme.
_COLOURS = {"--ink": "#010203", "--muted": "#010204", "--rule": "#010205", "--found": "#010206", "--random": "#010207"}
INK, MUTED, RULE, FOUND, RANDOM = _COLOURS.values()

_STYLE = {
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",  # only for measuring; the page's own font is drawn
    "font.size": 10,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "jaxloss",
    "text.color": INK,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
}


# One more could not be told from its neighbours, and the page stays small.
MOST_DOTS = 10_000
_DOTS_OF_A_CLOUD = 250


def search_figure(curves: Sequence[SearchCurve], metric: str) -> Markup:
    """Best so far and mean of the population by the number of trainings; single scores as faint dots."""
    with inline_figure("search", (12.4, 4.8), "Score by number of trainings, for each search") as (figure, drawn):
        axes = figure.add_axes((0.055, 0.11, 0.81, 0.87))
        axes.grid(axis="y", color=RULE, linewidth=0.5)
        ends = []
        # The main search comes first, and is drawn on top.
        for curve in reversed(curves):
            colour = RANDOM if curve.is_control else FOUND
            _dots(axes, curve.trainings, curve.scores, colour)
            axes.plot(curve.trainings, curve.mean, color=colour, linewidth=1.2, dashes=(3, 2))
            axes.step(curve.trainings, curve.best, where="post", color=colour, linewidth=2.2)
            ends += [(_last(curve.best), f"{curve.name}, best", colour), (_last(curve.mean), f"{curve.name}, mean", colour)]
        finite = np.concatenate([[value for value in curve.scores if value == value] for curve in curves] or [[]])
        if len(finite):
            axes.set_ylim(finite.min() - 0.03 * np.ptp(finite) - 1e-3, finite.max() + 0.05 * np.ptp(finite) + 1e-3)
        axes.set_xlim(0, max(curve.trainings[-1] for curve in curves) or 1)
        axes.set_xlabel("candidates trained")
        axes.set_ylabel(f"{metric} on search_eval")
        end_labels(axes, ends)
    return drawn[0]


# Colour, width and dashes of a line, by its role.
_LINES = {
    OWN: {"color": FOUND},
    OTHER: {"color": RANDOM, "dashes": (4, 2)},
    WHOLE: {"color": INK},
    REFERENCE: {"color": MUTED, "linewidth": 1.2, "dashes": (1.5, 1.5)},
}
_WORDS = {OWN: "key-right", OTHER: "key-wrong"}


def panel_figure(name: str, panel: Panel, label: str) -> Markup:
    """A small figure of one loss; `name` makes its parts unique on the page, `label` names the loss."""
    with inline_figure(f"{name}-{panel.name}", (4.1, 2.3), panel.title.format(label)) as (figure, drawn):
        axes = _small_axes(figure, panel.ticks)
        if panel.zero_line:
            axes.axhline(0, color=RULE, linewidth=0.8)
        for line in panel.lines:
            axes.plot(panel.x, line.values, **_LINES[line.role])
        if panel.value_ticks:
            axes.set_yticks(panel.value_ticks)
        if panel.limits:
            axes.set_ylim(*panel.limits)
        else:
            _robust_limits(axes, np.concatenate([line.values for line in panel.lines]))
    return drawn[0]


def panel_caption(panel: Panel) -> Markup:
    """The words above a panel, those that belong to a line in its colour."""
    pieces = [
        Markup('<span class="{}">{}</span>').format(_WORDS[role], text) if role in _WORDS else Markup.escape(text)
        for text, role in panel.caption
    ]
    return Markup("").join(pieces)


def _small_axes(figure: Figure, ticks: Sequence[float]) -> Axes:
    axes = figure.add_axes((0.11, 0.12, 0.86, 0.85))
    axes.set_xlim(ticks[0], ticks[-1])
    axes.set_xticks(ticks, ["½" if tick == 0.5 else f"{tick:g}".replace("-", MINUS) for tick in ticks])
    axes.locator_params(axis="y", nbins=4)
    axes.tick_params(length=3, pad=2)
    return axes


def _robust_limits(axes: Axes, values: np.ndarray) -> None:
    """A pole at one end of the range must not flatten everything else."""
    values = values[np.isfinite(values)]
    if not len(values):
        return
    low, high = values.min(), values.max()
    inner_low, inner_high = np.percentile(values, [6, 94])
    # A flat curve is flat, not the noise of its last digits.
    span = max(inner_high - inner_low, 0.1 * max(1e-3, abs(high)))
    low, high = max(low, inner_low - 1.5 * span), min(high, inner_high + 1.5 * span)
    margin = 0.06 * max(high - low, span)
    axes.set_ylim(low - margin, high + margin)


def _dots(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str) -> None:
    """The dots as one path of strokes without length: a tenth of the size of a marker each. Of very many, some."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if b == b]
    points = points[:: -(-len(points) // MOST_DOTS) or 1]
    if not points:
        return
    path = Path(np.repeat(points, 2, axis=0), [Path.MOVETO, Path.LINETO] * len(points))
    path.should_simplify = False
    # Many are a cloud; of few each is to be seen, that of the last training at the very edge too.
    alpha = min(0.55, max(0.22, _DOTS_OF_A_CLOUD / len(points) * 0.22))
    style = {"edgecolor": colour, "facecolor": "none", "linewidth": 4, "capstyle": "round"}
    axes.add_patch(PathPatch(path, **style, alpha=alpha, clip_on=False))


def end_labels(axes: Axes, ends: Sequence[tuple[float | None, str, str]]) -> None:
    """Names the lines at their right ends, pushed apart where they meet."""
    low, high = axes.get_ylim()
    named = sorted((end for end in ends if end[0] is not None), key=lambda end: end[0])
    gap, bottom, top, heights = min(0.048, 1 / max(1, len(named))) * (high - low), low, high, []
    for value, _, _ in named:
        bottom = max(value, bottom + gap)
        heights.append(bottom)
    # Down again from the top, above which other things stand.
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], top)
        top = heights[index] - gap
    for height, (_, text, colour) in zip(heights, named, strict=True):
        weight = "bold" if text.endswith("best") else "normal"
        place = {"xy": (1.012, height), "xycoords": ("axes fraction", "data"), "va": "center"}
        axes.annotate(text, **place, color=colour, fontsize=9.5, fontweight=weight)


def _last(values: Sequence[float]) -> float | None:
    return next((value for value in reversed(values) if value == value), None)


@contextlib.contextmanager
def inline_figure(name: str, inches: tuple[float, float], label: str) -> Iterator[tuple[Figure, list[Markup]]]:
    """A figure to draw on; on leaving, the list holds it as inline SVG."""
    drawn: list[Markup] = []
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=inches)
        FigureCanvasSVG(figure)
        yield figure, drawn
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    drawn.append(_inline(stream.getvalue(), name, label, _COLOURS))


def _inline(svg: str, name: str, label: str, colours: Mapping[str, str]) -> Markup:
    """What a page needs of matplotlib's file: no headers or addresses, ids of its own, colours and fonts of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]*)"', svg)
    body = svg[svg.index(">") + 1 :].replace("xlink:href", "href")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", body)
    for variable, colour in colours.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r"\n\s*", "\n", body)
    safe_label = Markup.escape(label)
    return Markup(f'<svg class="figure" role="img" aria-label="{safe_label}" viewBox="{view[1] if view else ""}">{body}')
