"""How the losses of a space are drawn: curves as numbers, which a report turns into figures."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# What a line or a word of a caption belongs to; a report gives each a colour of its own. OWN: what is right, or a loss's own
# class. OTHER: what is wrong, or all other classes. WHOLE: the loss as a whole. REFERENCE: what a loss is compared with.
OWN, OTHER, WHOLE, REFERENCE = ROLES = ("own", "other", "whole", "reference")


@dataclasses.dataclass(frozen=True)
class Line:
    """One curve: `values` `[K]`, NaN where there is none, and its role."""

    values: np.ndarray
    role: str = WHOLE


@dataclasses.dataclass(frozen=True)
class Panel:
    """One small figure of a loss.

    Attributes:
      name: short, of letters.
      title: for screen readers, with `{}` where the loss is named.
      caption: pieces of text with a role, or '' for plain text.
      x: `[K]`.
      ticks: on the horizontal axis; the first and the last are its ends.
      lines: in the order in which they are drawn.
      zero_line: whether the value 0 is marked.
      limits: of the vertical axis; None takes what the lines need, poles cut off.
      value_ticks: on the vertical axis; none takes round values.
    """

    name: str
    title: str
    caption: tuple[tuple[str, str], ...]
    x: np.ndarray
    ticks: tuple[float, ...]
    lines: tuple[Line, ...]
    zero_line: bool = False
    limits: tuple[float, float] | None = None
    value_ticks: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Reference:
    """A well-known loss that is drawn beside the others: `formula` in text form, `latex` or None, and a `note` that names it."""

    formula: str
    note: str
    latex: str | None = None


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How the losses of a space are drawn in a report.

    Attributes:
      draw: `(space, candidates) -> (panels of each reference, panels of each candidate)`.
      references: drawn before all others.
      note: what the panels show, as HTML.
      most: so many losses are drawn, the best ones.
    """

    draw: Callable[[Any, Sequence[Any]], tuple[Sequence[tuple[Panel, ...]], Sequence[tuple[Panel, ...]]]]
    references: tuple[Reference, ...]
    note: str
    most: int
