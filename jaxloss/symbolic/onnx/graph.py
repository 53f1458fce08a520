"""The graph that is being written: nodes, constants, and sizes that are known when it is computed."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """Nodes in their order; a value is its name."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names = (f"v{number}" for number in itertools.count())
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._sizes: dict[str, Size] = {}

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The value of one more node."""
        name = next(self._names)
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, array: Any, dtype: Any = None) -> str:
        """A constant; one that is there already is taken again."""
        array = np.array(array, dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = next(self._names)
            self.constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def name_sizes(self, array: str, shape: Sequence[Any]) -> None:
        """The symbols in the shape of an input stand for its sizes."""
        for axis, size in enumerate(shape):
            if not isinstance(size, int) and str(size) not in self._sizes:
                sizes = self.add("Shape", array)
                self._sizes[str(size)] = Size(self, self.add("Gather", sizes, self.constant([axis], np.int64)))

    def size(self, size: Any) -> str:
        """A size, a number or an expression of symbols as JAX writes it, as int64 `[1]`."""
        if isinstance(size, int | np.integer):
            return self.constant([size], np.int64)
        found = eval(str(size).replace("^", "**"), {"__builtins__": {}, "mod": _mod, "floordiv": _floordiv}, dict(self._sizes))
        return found.name if isinstance(found, Size) else self.constant([found], np.int64)

    def shape(self, shape: Sequence[Any]) -> str:
        """A shape as int64 `[rank]`."""
        if all(isinstance(size, int | np.integer) for size in shape):
            return self.constant(np.array(shape, np.int64))
        return self.add("Concat", *map(self.size, shape), axis=0)


@dataclasses.dataclass(frozen=True)
class Size:
    """A size of an input, with which sizes are computed.

    Attributes:
      graph: in which it is.
      name: of the value, int64 `[1]`.
    """

    graph: Graph
    name: str

    def _with(self, operator: str, other: Any, is_turned: bool = False) -> "Size":
        pair = (self.name, other.name if isinstance(other, Size) else self.graph.size(other))
        return Size(self.graph, self.graph.add(operator, *(reversed(pair) if is_turned else pair)))

    def __add__(self, other: Any) -> "Size":
        return self._with("Add", other)

    def __sub__(self, other: Any) -> "Size":
        return self._with("Sub", other)

    def __rsub__(self, other: Any) -> "Size":
        return self._with("Sub", other, is_turned=True)

    def __mul__(self, other: Any) -> "Size":
        return self._with("Mul", other)

    def __neg__(self) -> "Size":
        return self._with("Mul", -1)

    def __pow__(self, power: int) -> "Size":
        return self if power == 1 else self * self ** (power - 1)

    __radd__, __rmul__ = __add__, __mul__


def _floordiv(one: Any, other: Any) -> Any:
    return one._with("Div", other) if isinstance(one, Size) else one // other


def _mod(one: Any, other: Any) -> Any:
    return one._with("Mod", other) if isinstance(one, Size) else one % other
