"""Formulas as inline SVG: LaTeX goes in, one path in the colour of the text comes out."""

import re

import numpy as np
from markupsafe import Markup
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath, text_to_path

_SIZE = 100.0  # units per em; the page scales it
_LONGEST = 1200  # characters; beyond that nobody reads it, and typesetting takes seconds
_SEPARATORS = re.compile(r"[,;]\\quad ")
# LaTeX itself puts a thin space between a factor and the name of a function, mathtext does not.
_TIGHT = re.compile(r"(?<=[\w})|]) *(?=\\(?:log|exp|tanh|sin|cos|arcsin|arccos|operatorname|mathrm)\b)")
# Fractions in running text are set small by convention, and delimiters of low letters by mathtext's own measure.
_FRACTION = re.compile(r"(?<!\^\{)\\frac\b")
_LOW = re.compile(r"\\left\(((?:(?!\\left|\\right|\\d?frac|\\sqrt|\^)[^()])*)\\right\)")
_SMALLEST = 0.6  # a long formula shrinks so far to fit the page; then it scrolls
_FONT = FontProperties(size=_SIZE, math_fontfamily="cm")
_COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}


def formula_svg(latex: str | None, label: str) -> Markup | None:
    """One SVG element per line of a formula, or None where it cannot be drawn and the text has to do.

    Args:
      latex: without dollar signs; lines end at `;\\quad ` and `,\\quad `, which join branches and named parts.
      label: the formula in words, for screen readers.
    """
    if not latex or "$" in latex or len(latex) > _LONGEST:
        return None
    try:
        lines = [_line(part, label) for part in _SEPARATORS.split(latex)]
    except (ValueError, RuntimeError):
        # matplotlib knows a part of LaTeX only, `\begin` for one is beyond it.
        return None
    return Markup("").join(lines)


def _line(latex: str, label: str) -> Markup:
    latex = _FRACTION.sub(r"\\dfrac", _LOW.sub(r"(\1)", latex.strip()))
    text = "$" + _TIGHT.sub(r"\\,", latex) + "$"
    width, height, descent = text_to_path.get_text_width_height_descent(text, _FONT, ismath=True)
    path = TextPath((0, 0), text, size=_SIZE, prop=_FONT)
    # A little air, as strokes of italic letters reach over their boxes.
    left, top, wide, high = -4, descent - height - 4, width + 8, height + 8
    return Markup(
        '<svg class="formula" role="img" aria-label="{}" viewBox="{:.0f} {:.0f} {:.0f} {:.0f}" '
        'style="width:{:.2f}em;min-width:{:.2f}em;vertical-align:{:.2f}em"><path d="{}"/></svg>'
    ).format(label, left, top, wide, high, wide / _SIZE, _SMALLEST * wide / _SIZE, -(descent + 4) / _SIZE, _path_data(path))


def _path_data(path: Path) -> str:
    """The `d` attribute, with y downwards; at 100 units per em nobody sees a second decimal."""
    parts = []
    for points, code in path.iter_segments(simplify=False):
        if code == Path.CLOSEPOLY:
            parts.append("Z")
        else:
            flipped = points * np.resize((1, -1), len(points))
            parts.append(_COMMANDS[code] + " ".join(f"{value:.1f}".removesuffix(".0") for value in flipped))
    return "".join(parts)
