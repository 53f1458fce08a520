"""The picture of a transfer matrix: how near each loss comes to the best one of each task."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.patches import Rectangle

from jaxloss.report.figures import FOUND, INK, MUTED, inline_figure
from jaxloss.report.words import score

# Inches.
_WIDTH, _ROW, _LABELS, _LINE = 12.4, 0.34, 4.4, 0.16
# A cell is never so dark that its number could not be read, in either colour scheme.
_DARKEST = 0.5
_LETTERS_PER_INCH = 11
# What is nearer than this is not told apart by all shades that there are.
_LEAST_SPAN = 0.02
# A column that is wider tells no more.
_WIDEST_COLUMN = 2.6


def transfer_figure(matrix: Mapping[str, Any]) -> Markup:
    """A cell for each loss on each task: its score, the darker the nearer to the best of the task; a frame where it was found.

    Args:
      matrix: see `transfer.transfer_matrix`, of one task at least.

    Returns:
      Inline SVG in the colours of the page. White is the lowest score of the task, or as far below the best as four times the
      median is: one loss that fails does not make all others look alike, nor do ties look like wins.
    """
    losses, tasks = matrix["losses"], matrix["tasks"]
    column = min((_WIDTH - _LABELS) / len(tasks), _WIDEST_COLUMN)
    # Values of several keys are joined by commas.
    headings = [[_shortened(part, column) for part in task.split(",")] for task in tasks]
    top = _LINE * (1 + max(map(len, headings)))
    height = top + _ROW * len(losses)
    with inline_figure("transfer", (_WIDTH, height), "Test score of each loss on each task") as (figure, drawn):
        axes = figure.add_axes((_LABELS / _WIDTH, 0, column * len(tasks) / _WIDTH, 1 - top / height))
        axes.set_xlim(0, len(tasks))
        axes.set_ylim(len(losses), 0)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        for row, loss in enumerate(losses):
            name = _shortened(loss, _LABELS)
            axes.text(-0.06 / column, row + 0.5, name, ha="right", va="center", fontsize=9.5, parse_math=False)
        for number, heading in enumerate(headings):
            place = {"ha": "center", "va": "bottom", "fontsize": 9.5, "color": MUTED, "parse_math": False}
            axes.text(number + 0.5, -0.15, "\n".join(heading), **place)
            shades = _shades([one[number] and one[number][0] for one in matrix["scores"]])
            for row, shade in enumerate(shades):
                if shade is None:
                    continue
                axes.add_patch(
                    Rectangle((number + 0.02, row + 0.04), 0.96, 0.92, color=FOUND, alpha=_DARKEST * shade, linewidth=0)
                )
                if matrix["found_on"][row][number]:
                    axes.add_patch(Rectangle((number + 0.02, row + 0.04), 0.96, 0.92, fill=False, edgecolor=INK, linewidth=1.4))
                weight = "bold" if shade == 1 else "normal"
                written = score(matrix["scores"][row][number][0])
                axes.text(number + 0.5, row + 0.5, written, ha="center", va="center", fontsize=10, fontweight=weight)
    return drawn[0]


def _shortened(text: str, inches: float) -> str:
    """As much of a text as fits."""
    most = max(3, int(inches * _LETTERS_PER_INCH))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _shades(scores: list[float | None]) -> list[float | None]:
    """1 for the best score of a task, 0 for what is far below; None where there is none."""
    known = [one for one in scores if one is not None]
    best, middle = max(known), float(np.median(known))
    low = max(min(known), best - 4 * (best - middle)) if best > middle else min(known)
    low = min(low, best - _LEAST_SPAN)
    return [None if one is None else max(0.0, (one - low) / (best - low)) for one in scores]
