"""Simplification that changes neither a value nor a gradient: SymPy proposes, `verify` decides."""

import dataclasses
from collections.abc import Sequence

import sympy

from jaxloss.symbolic import symbols
from jaxloss.symbolic.client import SimplificationWorker
from jaxloss.symbolic.expression import Formula, sympy_text
from jaxloss.symbolic.proposals import METHODS, RAW, complexity

DEFAULT_TIME_LIMIT = 5.0


@dataclasses.dataclass(frozen=True)
class Simplified:
    """The prettiest form of a formula that was found to be the same loss.

    Attributes:
      expression: as SymPy expression; None where no proposal passed, and the formula stays as it is.
      method: `without epsilon`, `epsilon where needed`, `simplified` (with every epsilon it has) or `raw`.
      refused: proposals that were prettier, but another loss.
      note: why SymPy did not finish (time limit, error), or ''.
    """

    expression: sympy.Expr | None
    method: str
    refused: tuple[str, ...] = ()
    note: str = ""

    @property
    def verified(self) -> bool:
        """Whether `expression` was compared with the loss; the raw form needs no comparison."""
        return self.expression is not None


def simplify(
    formulas: Sequence[Formula], time_limit: float = DEFAULT_TIME_LIMIT, worker: SimplificationWorker | None = None
) -> list[Simplified]:
    """Simplifies formulas; all in one worker process, and all compared in one compilation.

    What is assumed of the inputs, and where they are sampled for the comparison, is `Formula.ranges`. A simplified form may
    differ from the loss on the border (log of a prediction of exactly 0), and is meant for reading.

    Args:
      formulas: the formulas.
      time_limit: seconds for each; then the worker is killed, and the quick proposals, or the raw form, must do.
      worker: to be used, and left open; by default one is started and ended.
    """
    # Loaded here, so that what only reads formulas does not wait for JAX to compile.
    from jaxloss.symbolic.verify import Claim, verify

    owned = worker is None
    worker = SimplificationWorker() if owned else worker
    try:
        asked = [_ask(formula, time_limit, worker) for formula in formulas]
    finally:
        if owned:
            worker.close()
    accepted = verify([Claim(formula, tuple(e for _, e in found)) for formula, (found, _) in zip(formulas, asked, strict=True)])
    return [_first_accepted(found, passed, note) for (found, note), passed in zip(asked, accepted, strict=True)]


def _ask(formula: Formula, time_limit: float, worker: SimplificationWorker) -> tuple[list[tuple[str, sympy.Expr]], str]:
    """The proposals, prettiest first, and a note."""
    text = sympy_text(formula)
    if text is None:
        return [], "the formula is too large as a tree"
    ranges = formula.input_ranges
    proposals, note = worker.ask({"text": text, "ranges": ranges, "epsilon": formula.epsilon}, time_limit)
    read = {(method, symbols.read(proposal, ranges)) for method, proposal in proposals}
    return sorted(read, key=lambda pair: (METHODS.index(pair[0]), complexity(pair[1]))), note


def _first_accepted(found: list[tuple[str, sympy.Expr]], passed: list[bool], note: str) -> Simplified:
    refused = []
    for (method, expression), same in zip(found, passed, strict=True):
        if same:
            return Simplified(expression, method, tuple(refused), note)
        refused.append(str(expression))
    return Simplified(None, RAW, tuple(refused), note)
