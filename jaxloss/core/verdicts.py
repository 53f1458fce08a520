"""Verdicts over candidates, and the reasons for them: codes inside jit, words at the edge."""

import dataclasses
from collections.abc import Sequence

# What a jitted filter says of a candidate that it does not stop. A stopped one has 1 + the place of the reason among its own.
PASSED = 0


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a candidate was stopped; declared once, beside the filter that stops it.

    Attributes:
      label: lower-case words joined by underscores: archives and summaries name the reason so.
      words: how a report explains it, with the candidate as the subject.
      leaves_row: False where a look at the formula or at its curves is enough: such candidates are counted, and leave no row.
      is_remembered: True where a later candidate that is equivalent need not be tried.
    """

    label: str
    words: str
    leaves_row: bool = True
    is_remembered: bool = False


ACCEPTED = Reason("accepted", "passed every filter")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a filter says of one candidate (or of one branch of it).

    Attributes:
      reason: `ACCEPTED`, or why the candidate was stopped.
      value: the number that decided, for example the metric gain of the rejection protocol.
    """

    reason: Reason
    value: float = float("nan")

    @property
    def accepted(self) -> bool:
        """Whether nothing stopped the candidate."""
        return self.reason is ACCEPTED


def code_of(reason: Reason, reasons: Sequence[Reason]) -> int:
    """The code of one of the reasons of a jitted filter."""
    return 1 + reasons.index(reason)


def reason_of(code: int, reasons: Sequence[Reason]) -> Reason:
    """The reason that a jitted filter means; `ACCEPTED` for `PASSED`."""
    return ACCEPTED if code == PASSED else reasons[code - 1]
