"""What is wrong with a filter, in one line, before it judges anything."""

from collections.abc import Sequence
from typing import Any

from jaxloss.core.abstract import named_errors, written
from jaxloss.core.errors import UserError
from jaxloss.core.form import Expression
from jaxloss.core.verdicts import ACCEPTED, Reason, Verdict
from jaxloss.filters.base import Cost, Filter, Screened
from jaxloss.filters.equivalence import LossMemory

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


def check_answer(what: str, made: Filter, expression: Expression) -> None:
    """Lets a filter judge one expression, and looks at what it says.

    Raises:
      UserError: names what it raises, or what it should have given.
    """
    with named_errors(f"check of {what}"):
        found = made.check([expression], [Screened()], LossMemory())
    if not isinstance(found, Sequence) or len(found) != 1 or not isinstance(found[0], Screened):
        raise UserError(f"check of {what} must give a list of Screened, one for each expression, not {written(found)}")
    verdict = found[0].verdict
    if not isinstance(verdict, Verdict) or not isinstance(verdict.reason, Reason):
        raise UserError(f"check of {what} must give a Verdict with a Reason, and gives {written(verdict)}")
    reason = verdict.reason
    if reason is not ACCEPTED and reason not in made.reasons:
        raise UserError(f"{what} stops an expression for the reason '{reason.label}', which is not among its reasons")


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
