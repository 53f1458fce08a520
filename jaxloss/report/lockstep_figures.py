"""Figures of searches in lock-step: rewards by round, and the numbers of the distribution by round."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from jaxloss.report.figures import FOUND, MUTED, RANDOM, RULE, end_labels, inline_figure
from jaxloss.runs.rounds import Round


def rewards_figure(rounds: Sequence[Round], others: Sequence[Sequence[Round]]) -> Markup:
    """The mean and the best reward of one search by round, and, faint, the means of the others."""
    with inline_figure("rewards", (12.4, 4.2), "Mean and best reward by round") as (figure, drawn):
        axes = figure.add_axes((0.055, 0.12, 0.81, 0.86))
        axes.grid(axis="y", color=RULE, linewidth=0.5)
        for other in others:
            axes.plot(*_curve(other, "mean"), color=MUTED, linewidth=0.8, alpha=0.5)
        ends = []
        for name, colour in (("mean", RANDOM), ("best", FOUND)):
            x, y = _curve(rounds, name)
            axes.plot(x, y, color=colour, marker="." if len(x) == 1 else None)
            ends.append((y[-1] if len(y) else None, name if name == "best" else "mean of the copies", colour))
        axes.set_xlim(1, max(2, *(len(one) for one in (rounds, *others))))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("round")
        axes.set_ylabel("reward, on search_eval")
        end_labels(axes, ends)
    return drawn[0]


def numbers_figures(rounds: Sequence[Round]) -> list[tuple[str, Markup]]:
    """(name, figure) of each group of numbers of the distribution, a line for each number."""
    return [(name, _numbers_figure(name, rounds)) for name in rounds[-1].numbers]


def _numbers_figure(name: str, rounds: Sequence[Round]) -> Markup:
    values = np.array([one.numbers[name] for one in rounds])
    with inline_figure(f"numbers-{name}", (6.0, 2.9), f"{name} of the distribution by round") as (figure, drawn):
        axes = figure.add_axes((0.09, 0.14, 0.89, 0.83))
        axes.grid(axis="y", color=RULE, linewidth=0.5)
        # From the first interval to the last.
        colours = colormaps["viridis"](np.linspace(0.1, 0.85, values.shape[1]))
        for column, colour in zip(values.T, colours, strict=True):
            axes.plot(np.arange(1, len(rounds) + 1), column, color=colour, linewidth=1.4)
        axes.set_xlim(1, max(2, len(rounds)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return drawn[0]


def _curve(rounds: Sequence[Round], name: str) -> tuple[np.ndarray, np.ndarray]:
    """(round, value) where there is one."""
    points = [(one.number + 1, getattr(one, name)) for one in rounds if getattr(one, name) is not None]
    return (np.array([x for x, _ in points]), np.array([y for _, y in points]))
