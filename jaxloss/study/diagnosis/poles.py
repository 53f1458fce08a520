"""The poles of formulas, as SymPy finds them within a time limit, in a process that can be stopped."""

from typing import Any

from jaxloss.symbolic.client import SimplificationWorker
from jaxloss.symbolic.expression import Formula, sympy_text
from jaxloss.symbolic.reading import Reading

TIME_LIMIT = 3.0
TOO_LARGE = "the formula is too large as a tree"


def poles_of(reading: Reading, time_limit: float = TIME_LIMIT) -> dict[str, Any] | None:
    """The points where a formula would have no finite value or slope, were every epsilon of its operators 0.

    Args:
      reading: of the loss.
      time_limit: seconds that SymPy may think about each formula.

    Returns:
      `points`: lists of formula, `value` or `slope`, and the point in words; `note`: why there may be more, or ''. None for a
      loss without formulas.
    """
    if not reading.formulas:
        return None
    points, notes = [], []
    with SimplificationWorker() as worker:
        for name, formula in reading.formulas.items():
            found, note = _ask(worker, formula, time_limit)
            points += [[name, what, where] for what, where in found]
            notes += [note] if note else []
    return {"points": points, "note": "; ".join(dict.fromkeys(notes))}


def _ask(worker: SimplificationWorker, formula: Formula, time_limit: float) -> tuple[list[tuple[str, str]], str]:
    text = sympy_text(formula)
    if text is None:
        return [], TOO_LARGE
    request = {"question": "singularities", "text": text, "ranges": formula.input_ranges, "epsilon": formula.epsilon}
    return worker.ask(request, time_limit)
