"""SymPy symbols and functions of loss formulas. Imports SymPy only: the worker process loads this file without JAX."""

from collections.abc import Mapping

import sympy

from jaxloss.symbolic import domain

EPSILON = sympy.Symbol("epsilon", positive=True)


def _is_constant(x: sympy.Expr) -> bool:
    return x.free_symbols <= {EPSILON}


class Aggregation(sympy.Function):
    """A function of neighbouring values. Means, maxima and minima have the sign of what they are taken of."""

    latex_name = ""
    nargs = 1

    def _latex(self, printer, exp=None):
        operands = r",\, ".join(printer.doprint(x) for x in self.args)
        return rf"{self.latex_name}\left({operands}\right)" + ("" if exp is None else f"^{{{exp}}}")

    def _eval_is_real(self):
        return True if all(x.is_real for x in self.args) else None

    def _eval_is_positive(self):
        return True if all(x.is_positive for x in self.args) else None

    def _eval_is_negative(self):
        return True if len(self.args) == 1 and self.args[0].is_negative else None

    def _eval_is_nonnegative(self):
        return True if all(x.is_nonnegative for x in self.args) else None


class Mean_nhw(Aggregation):  # noqa: N801 - the name that formulas use
    """Mean over all positions, per channel."""

    latex_name = r"\mathrm{Mean}_{nhw}"

    @classmethod
    def eval(cls, x):
        """The simpler form that SymPy may put in its place, or None."""
        return x if _is_constant(x) or isinstance(x, cls) else None


class Mean_c(Aggregation):  # noqa: N801
    """Mean over the channels."""

    latex_name = r"\mathrm{Mean}_{c}"

    @classmethod
    def eval(cls, x):
        """The simpler form that SymPy may put in its place, or None."""
        return x if _is_constant(x) or isinstance(x, cls) else None


class MaxPool3x3(Aggregation):
    """Maximum over a 3x3 window."""

    latex_name = r"\mathrm{MaxPool}"

    @classmethod
    def eval(cls, x):
        """The simpler form that SymPy may put in its place, or None."""
        return x if _is_constant(x) else None


class MinPool3x3(Aggregation):
    """Minimum over a 3x3 window."""

    latex_name = r"\mathrm{MinPool}"

    @classmethod
    def eval(cls, x):
        """The simpler form that SymPy may put in its place, or None."""
        return x if _is_constant(x) else None


class Dot(Aggregation):
    """Sum over the channels of a product."""

    latex_name = r"\mathrm{dot}"
    nargs = 2

    @classmethod
    def eval(cls, x, y):
        """The simpler form that SymPy may put in its place, or None."""
        return x * y if _is_constant(x) and _is_constant(y) else None


class Softmax(Aggregation):
    """Softmax over the channels; positive for every operand."""

    latex_name = r"\mathrm{softmax}"

    @classmethod
    def eval(cls, x):
        """The simpler form that SymPy may put in its place, or None."""
        return sympy.S.One if _is_constant(x) else None

    def _eval_is_positive(self):
        return True if self.args[0].is_real else None

    def _eval_is_negative(self):
        return False if self.args[0].is_real else None

    _eval_is_nonnegative = _eval_is_positive


class Detach(Aggregation):
    """The identity, without a gradient."""

    latex_name = r"\mathrm{detach}"

    @classmethod
    def eval(cls, x):
        """The simpler form that SymPy may put in its place, or None."""
        return x if _is_constant(x) or isinstance(x, cls) else None


FUNCTIONS = {cls.__name__: cls for cls in (Mean_nhw, Mean_c, MaxPool3x3, MinPool3x3, Dot, Softmax, Detach)}


def names(ranges: Mapping[str, domain.ValueRange]) -> dict[str, object]:
    """What the words of a formula's SymPy text mean: the `locals` of `sympy.sympify`; `ranges` names every input."""
    symbols = {name: sympy.Symbol(name, **domain.assumptions(name, span)) for name, span in ranges.items()}
    return {**FUNCTIONS, "epsilon": EPSILON, **symbols}


def read(text: str, ranges: Mapping[str, domain.ValueRange]) -> sympy.Expr:
    """Reads SymPy text, for example `-target*log(prediction)`."""
    return sympy.sympify(text, locals=names(ranges))
