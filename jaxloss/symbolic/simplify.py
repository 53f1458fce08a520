"""Simplification that changes neither a value nor a gradient: SymPy proposes, `verify` decides."""

import concurrent.futures
import contextlib
import dataclasses
import os
import queue
from collections.abc import Sequence

import sympy

from jaxloss.symbolic import symbols
from jaxloss.symbolic.client import SimplificationWorker
from jaxloss.symbolic.expression import Formula, sympy_text
from jaxloss.symbolic.proposals import METHODS, RAW, complexity

DEFAULT_TIME_LIMIT = 5.0
# A process with SymPy takes 60 MB.
MOST_WORKERS = 4
# Proposals `(method, SymPy text)`, and why there may be fewer than there could be.
Answer = tuple[list[tuple[str, str]], str]


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
    """Simplifies formulas; side by side in a few worker processes, and all compared in one compilation.

    What is assumed of the inputs, and where they are sampled for the comparison, is `Formula.ranges`. A simplified form may
    differ from the loss on the border (log of a prediction of exactly 0), and is meant for reading.

    Args:
      formulas: the formulas.
      time_limit: seconds for each; then the worker is killed, and the quick proposals, or the raw form, must do.
      worker: to be used for one after the other, and left open; by default some are started and ended.
    """
    # Loaded here, so that what only reads formulas does not wait for JAX to compile.
    from jaxloss.symbolic.verify import Claim, verify

    asked = [_read(formula, *answer) for formula, answer in zip(formulas, _answers(formulas, time_limit, worker), strict=True)]
    accepted = verify([Claim(formula, tuple(e for _, e in found)) for formula, (found, _) in zip(formulas, asked, strict=True)])
    return [_first_accepted(found, passed, note) for (found, note), passed in zip(asked, accepted, strict=True)]


def _answers(formulas: Sequence[Formula], time_limit: float, worker: SimplificationWorker | None) -> list[Answer]:
    """What worker processes say to each formula, which may take all of the time limit."""
    if worker is not None:
        return [_ask(formula, time_limit, worker) for formula in formulas]
    count = max(1, min(len(formulas), os.cpu_count() or 1, MOST_WORKERS))
    with contextlib.ExitStack() as stack:
        free: queue.SimpleQueue[SimplificationWorker] = queue.SimpleQueue()
        for _ in range(count):
            free.put(stack.enter_context(SimplificationWorker()))

        def ask(formula: Formula) -> Answer:
            worker = free.get()
            try:
                return _ask(formula, time_limit, worker)
            finally:
                free.put(worker)

        return list(stack.enter_context(concurrent.futures.ThreadPoolExecutor(count)).map(ask, formulas))


def _ask(formula: Formula, time_limit: float, worker: SimplificationWorker) -> Answer:
    text = sympy_text(formula)
    if text is None:
        return [], "the formula is too large as a tree"
    return worker.ask({"text": text, "ranges": formula.input_ranges, "epsilon": formula.epsilon}, time_limit)


def _read(formula: Formula, proposals: list[tuple[str, str]], note: str) -> tuple[list[tuple[str, sympy.Expr]], str]:
    """The proposals as expressions, prettiest first, and the note."""
    read = {(method, symbols.read(proposal, formula.input_ranges)) for method, proposal in proposals}
    return sorted(read, key=lambda pair: (METHODS.index(pair[0]), complexity(pair[1]))), note


def _first_accepted(found: list[tuple[str, sympy.Expr]], passed: list[bool], note: str) -> Simplified:
    refused = []
    for (method, expression), same in zip(found, passed, strict=True):
        if same:
            return Simplified(expression, method, tuple(refused), note)
        refused.append(str(expression))
    return Simplified(None, RAW, tuple(refused), note)
