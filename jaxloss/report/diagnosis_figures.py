"""Figures of what a loss does: what its gradient weighs beside cross-entropy's, its slope, and its score by the learning rate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from jaxloss.report.figures import FOUND, MUTED, RANDOM, RULE, inline_figure
from jaxloss.report.rates import RateCurve
from jaxloss.spaces.drawing import OTHER, OWN, REFERENCE

_INCHES = (6.0, 3.0)
_PLACE = (0.1, 0.16, 0.88, 0.81)
_STYLES = {
    OWN: {"color": FOUND, "zorder": 3},
    OTHER: {"color": RANDOM, "zorder": 2},
    REFERENCE: {"color": MUTED, "linewidth": 1.2, "dashes": (1.5, 1.5), "zorder": 1},
}
# A ratio is drawn over so many decades below and above 1.
_DECADES = 2.3
_X_OF_KIND = {"cosine": "cosine to the own class", "error": "error: prediction minus target"}


def weight_figure(name: str, sweeps: Sequence[Mapping[str, Any]]) -> Markup:
    """The size of the gradient with respect to the logits of a sample by the probability of its true class, each mean at 1.

    Args:
      name: makes its parts unique on the page.
      sweeps: of the loss and of its rival, if there is one, along probabilities.
    """
    with inline_figure(name, _INCHES, "Size of the gradient by the probability of the true class") as (figure, drawn):
        axes = _axes_of_probability(figure.add_axes(_PLACE))
        for sweep, role in zip(sweeps, (OWN, OTHER), strict=False):
            axes.plot(_numbers(sweep["curves"]["x"]), _with_mean_1(sweep["curves"]["by_logits"]), **_STYLES[role])
        curves = sweeps[0]["curves"]
        axes.plot(_numbers(curves["x"]), _with_mean_1(curves["cross_entropy"]), **_STYLES[REFERENCE])
        axes.set_ylim(0, min(axes.get_ylim()[1], 5.0))
        axes.set_ylabel("gradient, its mean at 1")
    return drawn[0]


def ratio_figure(name: str, sweeps: Sequence[Mapping[str, Any]], samples: Mapping[str, Any] | None) -> Markup:
    """The gradient over that of cross-entropy by the probability of the true class, the median at 1, logarithmically.

    Args:
      name: makes its parts unique on the page.
      sweeps: see `weight_figure`.
      samples: those of the first loss on the task's made-up outputs, drawn as dots; None for none.
    """
    with inline_figure(name, _INCHES, "Gradient over that of cross-entropy by the probability of the true class") as (
        figure,
        drawn,
    ):
        axes = _axes_of_probability(figure.add_axes(_PLACE))
        axes.set_yscale("log")
        for sweep, role in zip(sweeps, (OWN, OTHER), strict=False):
            ratio = _numbers(sweep["curves"]["by_logits"]) / _numbers(sweep["curves"]["cross_entropy"])
            middle = _median(ratio)
            axes.plot(_numbers(sweep["curves"]["x"]), ratio / middle, **_STYLES[role])
            if role == OWN and samples is not None:
                right, found, agreement = (_numbers(samples[key]) for key in ("right", "ratio", "agreement"))
                for chosen, marker in ((agreement >= 0, "."), (agreement < 0, "x")):
                    axes.plot(right[chosen], found[chosen] / middle, marker, color=FOUND, markersize=4, alpha=0.45)
        axes.axhline(1, **_STYLES[REFERENCE])
        _decades(axes)
        axes.set_ylabel("times cross-entropy’s")
    return drawn[0]


def slope_figure(name: str, sweeps: Sequence[Mapping[str, Any]]) -> Markup:
    """The slope of a loss, and of its rival, along a cosine or an error; the largest of the inner nine tenths at 1."""
    kind = sweeps[0]["kind"]
    with inline_figure(name, _INCHES, f"Slope by {kind}") as (figure, drawn):
        axes = figure.add_axes(_PLACE)
        axes.axhline(0, color=RULE, linewidth=0.8)
        for sweep, role in zip(sweeps, (OWN, OTHER), strict=False):
            slope = _numbers(sweep["curves"]["slope"])
            sizes = np.abs(slope[np.isfinite(slope)])
            largest = float(np.percentile(sizes, 90)) if len(sizes) else 1.0
            axes.plot(_numbers(sweep["curves"]["x"]), slope / (largest or 1.0), **_STYLES[role])
        axes.set_ylim(-1.6, 1.6)
        axes.set_xlabel(_X_OF_KIND[kind])
        axes.set_ylabel("slope of the loss")
    return drawn[0]


def rates_figure(curves: Sequence[RateCurve], metric: str) -> Markup:
    """Scores of the tuning by learning rate: lines through the best of each quarter of a decade, dots of single trainings."""
    with inline_figure("rates", (12.4, 3.6), "Score by learning rate") as (figure, drawn):
        axes = figure.add_axes((0.055, 0.14, 0.925, 0.84))
        axes.grid(axis="y", color=RULE, linewidth=0.5)
        axes.set_xscale("log")
        for curve in reversed(curves):
            if curve.role == REFERENCE:
                axes.plot(*zip(*curve.best, strict=True), color=MUTED, linewidth=0.8, alpha=0.6)
                continue
            axes.plot(*zip(*curve.best, strict=True), **_STYLES[curve.role])
            axes.plot(*zip(*curve.points, strict=True), ".", color=_STYLES[curve.role]["color"], markersize=5, alpha=0.4)
        scores = [score for curve in curves for _, score in curve.best]
        low, high = min(scores), max(scores)
        axes.set_ylim(low - 0.05 * (high - low) - 1e-3, high + 0.05 * (high - low) + 1e-3)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("learning rate")
        axes.set_ylabel(f"{metric} on search_eval")
    return drawn[0]


def _axes_of_probability(axes: Axes) -> Axes:
    axes.grid(axis="y", color=RULE, linewidth=0.5)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    axes.set_xlabel("probability of the true class")
    return axes


def _decades(axes: Axes) -> None:
    low, high = axes.get_ylim()
    low, high = max(np.log10(low), -_DECADES), min(np.log10(high), _DECADES)
    axes.set_ylim(10 ** min(low, -0.5), 10 ** max(high, 0.5))
    ticks = [tick for tick in (0.01, 0.1, 1, 10, 100) if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    """With NaN where a summary has none."""
    return np.array([np.nan if value is None else value for value in values], float)


def _with_mean_1(values: Sequence[float | None]) -> np.ndarray:
    numbers = _numbers(values)
    finite = numbers[np.isfinite(numbers)]
    mean = float(finite.mean()) if len(finite) else 0.0
    return numbers / (mean or 1.0)


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values) & (values > 0)]
    return float(np.median(finite)) if len(finite) else 1.0
