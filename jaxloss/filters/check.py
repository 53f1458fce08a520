"""What is wrong with a filter, in one line, before it judges anything."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxloss.core.abstract import named_errors, written
from jaxloss.core.errors import UserError
from jaxloss.core.form import Expression
from jaxloss.core.verdicts import ACCEPTED, Reason, Verdict
from jaxloss.filters.base import Cost, Filter, Screened
from jaxloss.filters.equivalence import LossMemory

_LABEL = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
_KINDS = {"name": str, "title": str, "cost": Cost, "remembers": bool, "compilations": int}


def check_filter(what: str, made: Any) -> None:
    """Looks whether something is a filter, see `base.Filter`.

    Args:
      what: gives it, for the message.
      made: to be checked.

    Raises:
      UserError: names what is missing or of another type.
    """
    for name, kind in _KINDS.items():
        if not hasattr(made, name):
            raise UserError(f"{what} must have the attribute '{name}', of type {kind.__name__}, and {written(made)} has none")
        if not isinstance(getattr(made, name), kind):
            raise UserError(f"{what}: {name} must be of type {kind.__name__}, and is {written(getattr(made, name))}")
    if not callable(getattr(made, "check", None)):
        raise UserError(f"{what} must have a function check(expressions, known, memory)")
    reasons = getattr(made, "reasons", None)
    if not isinstance(reasons, Sequence) or not all(isinstance(reason, Reason) for reason in reasons):
        raise UserError(f"{what}: reasons must be a tuple of Reason, and is {written(reasons)}")
    if not made.title.strip():
        raise UserError(f"{what}: title must say in words what passing it means, and is empty")
    for reason in reasons:
        if not isinstance(reason.words, str) or not reason.words.strip():
            raise UserError(f"{what}: words of the reason '{reason.label}' must be a text, not {reason.words!r}")
        if not isinstance(reason.label, str) or not _LABEL.fullmatch(reason.label) or reason.label == ACCEPTED.label:
            raise UserError(f"{what}: a reason is called by lower-case words joined by underscores, not '{reason.label}'")


def ask(
    what: str, made: Filter, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory
) -> list[Screened]:
    """Lets a filter judge some expressions, and looks at what it says.

    Args:
      what: the filter, for the message.
      made: the filter.
      expressions: see `Filter.check`.
      known: see `Filter.check`.
      memory: see `Filter.check`.

    Raises:
      UserError: names what it raises, or what it should have given.
    """
    with named_errors(f"check of {what}"):
        found = made.check(expressions, known, memory)
    _check_answers(what, made, found, len(expressions))
    return found


def _check_answers(what: str, made: Filter, found: Any, count: int) -> None:
    if not isinstance(found, Sequence) or len(found) != count or not all(isinstance(one, Screened) for one in found):
        came = f"{len(found)} for {count}" if isinstance(found, Sequence) and len(found) != count else written(found)
        raise UserError(f"check of {what} must give a list of Screened, one for each expression, not {came}")
    for one in found:
        verdict = one.verdict
        if not isinstance(verdict, Verdict) or not isinstance(verdict.reason, Reason):
            raise UserError(f"check of {what} must give a Verdict with a Reason, and gives {written(verdict)}")
        if verdict.reason is not ACCEPTED and verdict.reason not in made.reasons:
            raise UserError(f"{what} stops an expression for the reason '{verdict.reason.label}', which is not among its reasons")
        if not isinstance(verdict.value, int | float | np.number):
            raise UserError(f"check of {what} must give a Verdict whose value is a number, and gives {_shown(verdict.value)}")
        for name in ("signature", "sketch"):
            text = getattr(one, name)
            if text is not None and not isinstance(text, str):
                raise UserError(f"check of {what} must give a Screened whose {name} is a text or None, and gives {_shown(text)}")


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float) else written(value)


def check_names(filters: Sequence[Filter]) -> None:
    """Looks for two filters, or two reasons, of one name.

    Raises:
      UserError: names them.
    """
    for kind, names in (
        ("filters", [one.name for one in filters]),
        ("reasons", [reason.label for one in filters for reason in one.reasons]),
    ):
        if twice := [name for index, name in enumerate(names) if name in names[:index]]:
            raise UserError(f"two {kind} of one branch are called '{twice[0]}': give one another name")
