"""What is wrong with a filter, in one line, before it judges anything."""

from collections.abc import Sequence
from typing import Any

from jaxloss.core.abstract import written
from jaxloss.core.errors import UserError
from jaxloss.core.verdicts import Reason
from jaxloss.filters.base import Cost, Filter

_KINDS = {"name": str, "stage": str, "cost": Cost, "remembers": bool, "compilations": int}


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
