"""What a formula might be simplified to. Nothing here is proved; `verify` compares each proposal with the loss."""

from collections.abc import Iterator, Mapping

import sympy

from jaxloss.symbolic.domain import ValueRange
from jaxloss.symbolic.ranges import drop_needless_epsilon, resolve_signs
from jaxloss.symbolic.symbols import EPSILON, read

# In the order of preference.
WITHOUT_EPSILON, EPSILON_WHERE_NEEDED, WITH_EPSILON, RAW = "without epsilon", "epsilon where needed", "simplified", "raw"
METHODS = (WITHOUT_EPSILON, EPSILON_WHERE_NEEDED, WITH_EPSILON, RAW)


def complexity(expression: sympy.Expr) -> tuple[int, int]:
    """Smaller is prettier: operations first, then characters."""
    return int(sympy.count_ops(expression)), len(str(expression))


def propose(text: str, ranges: Mapping[str, ValueRange], epsilon: float | None) -> Iterator[tuple[str, str]]:
    """Yields (method, SymPy text), the quick proposals first, so that a time-out does not lose them.

    Args:
      text: the formula as SymPy text.
      ranges: every input -> (low, high), see `domain`.
      epsilon: what `epsilon` stands for, or None where the operators have none.
    """
    raw = read(text, ranges)
    starts = {WITH_EPSILON: raw}
    if epsilon is not None and EPSILON in raw.free_symbols:
        needed = drop_needless_epsilon(raw, ranges)
        starts = {WITHOUT_EPSILON: raw.subs(EPSILON, 0), **({} if needed == raw else {EPSILON_WHERE_NEEDED: needed}), **starts}
    quick = {}
    for method, start in starts.items():
        if not start.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
            quick[method] = resolve_signs(start, ranges, epsilon or 0.0)
            yield method, str(quick[method])
    # Most of the time goes into `simplify`: not for a third form that is hardly ever needed.
    for method, start in list(quick.items())[:2]:
        thorough = resolve_signs(_thoroughly(start), ranges, epsilon or 0.0)
        if complexity(thorough) < complexity(start):
            yield method, str(thorough)


def _thoroughly(expression: sympy.Expr) -> sympy.Expr:
    """SymPy's `simplify`, from which signs are hidden: it writes them out as case distinctions."""
    hidden: dict[sympy.Expr, sympy.Expr] = {}

    def hide(x: sympy.Expr) -> sympy.Expr:
        return hidden.setdefault(x, sympy.Dummy("sign", real=True))

    simplified = sympy.simplify(expression.replace(sympy.sign, hide))
    # Outer signs were hidden last and hold the inner ones.
    for x, stand_in in reversed(hidden.items()):
        simplified = simplified.xreplace({stand_in: sympy.sign(x)})
    return simplified
