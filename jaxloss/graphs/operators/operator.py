"""What an operator of a loss graph is, and a set of them: one vocabulary, with its opcodes.

The same name may mean different things in different papers (Log is `sign(x) log(|x| + epsilon)` in one, `log(x)` in another), so
an operator always belongs to a named `OperatorSet`.

SymPy, LaTeX and Python forms are templates (`{0}`, `{1}` stand for the operands), so that operators need no library for them.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

from jaxloss.core.types import Array


@dataclasses.dataclass(frozen=True)
class Neighbourhood:
    """What an aggregation needs beside its operands.

    Attributes:
      mask: bool `[N, H, W, 1]`, False on void positions.
      axis_name: name of the device axis over which a mean over n runs, or None on one device.
    """

    mask: Array
    axis_name: str | None = None


@dataclasses.dataclass(frozen=True)
class Operator:
    """One primitive.

    Attributes:
      name: as written in formulas.
      arity: number of operands, 1 or 2.
      function: `(x)`, `(x, y)`, or with a trailing `Neighbourhood` when `aggregates`; keeps `[N, H, W, C]`, or returns
        `[N, H, W, 1]` when `yields_sample`.
      sympy: SymPy expression as a template.
      latex: LaTeX as a template.
      python: expression of an exported file as a template; `jax` and `jnp` are there, and `mask`, bool `[N, H, W, 1]`.
      helpers: sources of the functions that `python` calls, as they stand in an exported file.
      commutative: `f(x, y) == f(y, x)` to the bit.
      aggregates: looks at other positions or channels.
      passes_gradient: False where the operand is a constant to the gradient.
      yields_sample: the result is one value per sample, whatever the operands.
      on_samples: the hidden operator that takes its place where every operand is one value per sample.
      hidden: never sampled nor parsed; stands only for another operator (see `on_samples`).
    """

    name: str
    arity: int
    function: Callable[..., Array]
    sympy: str
    latex: str
    python: str
    helpers: tuple[str, ...] = ()
    commutative: bool = False
    aggregates: bool = False
    passes_gradient: bool = True
    yields_sample: bool = False
    on_samples: str | None = None
    hidden: bool = False

    def __call__(self, operands: tuple[Array, ...], neighbourhood: Neighbourhood) -> Array:
        """Applies the operator to `arity` tensors that broadcast to `[N, H, W, C]`."""
        return self.function(*operands, neighbourhood) if self.aggregates else self.function(*operands)


@dataclasses.dataclass(frozen=True)
class OperatorSet:
    """The operators of one paper. The opcode of an operator is its position plus one; opcode 0 does nothing.

    Attributes:
      name: as used in configs.
      source: paper and table.
      operators: in a fixed order.
      epsilon: what `epsilon` stands for in the SymPy templates, or None where none has it.
    """

    name: str
    source: str
    operators: tuple[Operator, ...]
    epsilon: float | None = None

    @functools.cached_property
    def by_name(self) -> Mapping[str, Operator]:
        """Name -> operator."""
        return {operator.name: operator for operator in self.operators}

    @functools.cached_property
    def opcodes(self) -> Mapping[str, int]:
        """Name -> number of the operator in programs, from 1 on."""
        return {operator.name: index + 1 for index, operator in enumerate(self.operators)}

    @functools.cached_property
    def elementwise(self) -> "OperatorSet":
        """The operators that look at no other position or channel, as a set of their own; itself where all are such."""
        chosen = tuple(operator for operator in self.operators if not operator.aggregates)
        if len(chosen) == len(self.operators):
            return self
        return dataclasses.replace(self, name=f"{self.name}_elementwise", operators=chosen)

    @functools.cached_property
    def visible(self) -> tuple[Operator, ...]:
        """The operators that may be sampled and written."""
        return tuple(operator for operator in self.operators if not operator.hidden)

    def __hash__(self) -> int:
        return hash((self.name, len(self.operators)))

    def __getitem__(self, name: str) -> Operator:
        return self.by_name[name]
