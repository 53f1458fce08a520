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
    made: Filter, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory, what: str = ""
) -> list[Screened]:
    """Lets a filter judge some expressions, and looks at what it says.

    Args:
      made: the filter.
      expressions: see `Filter.check`.
      known: see `Filter.check`.
      memory: see `Filter.check`.
      what: it is called in messages; by default by its name.

    Raises:
      UserError: names what it raises, or what it should have given.
    """
    # Most draws of a search are stopped within microseconds: what is right has to be seen as fast.
    try:
        found = made.check(expressions, known, memory)
    except (Exception, SystemExit):
        with named_errors(f"check of {what or _called(made)}"):
            raise
    if type(found) is not list or len(found) != len(expressions) or not all(_is_plain(one, made.reasons) for one in found):
        _check_answers(what or _called(made), made, found, len(expressions))
    return found


def _called(made: Filter) -> str:
    return f"the filter '{made.name}'"


def _is_plain(one: Any, reasons: Sequence[Reason]) -> bool:
    """Whether an answer is right at first sight; if not, it may still be."""
    if type(one) is not Screened or type(one.verdict) is not Verdict:
        return False
    reason = one.verdict.reason
    return (
        (reason is ACCEPTED or reason in reasons)
        and type(one.verdict.value) is float
        and (one.signature is None or type(one.signature) is str)
        and (one.sketch is None or type(one.sketch) is str)
    )


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
