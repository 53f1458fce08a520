"""What each operation of JAX is in ONNX: its nodes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import helper

from jaxloss.symbolic.onnx.graph import Graph

# `(graph, equation of JAX, names of its arguments) -> name of its result`.
Rule = Callable[[Graph, Any, list[str]], str]

_SAME = {
    **{"add": "Add", "add_any": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "exp": "Exp", "log": "Log"},
    **{"sqrt": "Sqrt", "tanh": "Tanh", "sin": "Sin", "cos": "Cos", "tan": "Tan", "abs": "Abs", "sign": "Sign", "floor": "Floor"},
    **{"ceil": "Ceil", "erf": "Erf", "asin": "Asin", "acos": "Acos", "atan": "Atan", "max": "Max", "min": "Min", "pow": "Pow"},
    **{"eq": "Equal", "lt": "Less", "gt": "Greater", "le": "LessOrEqual", "ge": "GreaterOrEqual", "and": "And", "or": "Or"},
    **{"not": "Not", "xor": "Xor", "logistic": "Sigmoid"},
}
_AS_IT_IS = ("copy", "copy_p", "stop_gradient", "reduce_precision")
_RESHAPES = ("reshape", "squeeze", "expand_dims")
_REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin", "reduce_prod": "ReduceProd"}
_QUANTIFIERS = {"reduce_or": "ReduceMax", "reduce_and": "ReduceMin"}


def _aval(equation: Any, place: int = 0) -> Any:
    return equation.invars[place].aval


def _result(equation: Any) -> Any:
    return equation.outvars[0].aval


def _cast(graph: Graph, name: str, dtype: Any) -> str:
    return graph.add("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _number(graph: Graph, equation: Any, value: float) -> str:
    return graph.constant(value, _aval(equation).dtype)


def _not_equal(graph: Graph, equation: Any, given: list[str]) -> str:
    del equation
    return graph.add("Not", graph.add("Equal", *given))


def _convert(graph: Graph, equation: Any, given: list[str]) -> str:
    if _aval(equation).dtype == _result(equation).dtype:
        return given[0]
    return _cast(graph, given[0], _result(equation).dtype)


def _reshape(graph: Graph, equation: Any, given: list[str]) -> str:
    return graph.add("Reshape", given[0], graph.shape(_result(equation).shape))


def _broadcast(graph: Graph, equation: Any, given: list[str]) -> str:
    shape, axes = _result(equation).shape, equation.params["broadcast_dimensions"]
    sizes = dict(zip(axes, _aval(equation).shape, strict=True))
    placed = given[0]
    if sizes:
        placed = graph.add("Reshape", placed, graph.shape([sizes.get(axis, 1) for axis in range(len(shape))]))
    return graph.add("Expand", placed, graph.shape(shape))


def _transpose(graph: Graph, equation: Any, given: list[str]) -> str:
    return graph.add("Transpose", given[0], perm=list(equation.params["permutation"]))


def _concatenate(graph: Graph, equation: Any, given: list[str]) -> str:
    return graph.add("Concat", *given, axis=equation.params["dimension"])


def _stack(graph: Graph, equation: Any, given: list[str]) -> str:
    axis = equation.params["axis"]
    place = graph.constant([axis], np.int64)
    return graph.add("Concat", *(graph.add("Unsqueeze", one, place) for one in given), axis=axis)


def _slice(graph: Graph, equation: Any, given: list[str]) -> str:
    params, rank = equation.params, len(_aval(equation).shape)
    steps = params["strides"] or (1,) * rank
    ends = (params["start_indices"], params["limit_indices"], tuple(range(rank)), steps)
    return graph.add("Slice", given[0], *map(graph.shape, ends))


def _pad(graph: Graph, equation: Any, given: list[str]) -> str:
    widths = equation.params["padding_config"]
    if any(between for *_, between in widths):
        raise NotImplementedError("padding between elements")
    return graph.add("Pad", given[0], graph.shape([*(low for low, *_ in widths), *(high for _, high, _ in widths)]), given[1])


def _reduction(graph: Graph, equation: Any, given: list[str]) -> str:
    axes = graph.constant(equation.params["axes"], np.int64)
    return graph.add(_REDUCTIONS[equation.primitive.name], given[0], axes, keepdims=0)


def _quantifier(graph: Graph, equation: Any, given: list[str]) -> str:
    axes, numbers = graph.constant(equation.params["axes"], np.int64), _cast(graph, given[0], np.int32)
    return _cast(graph, graph.add(_QUANTIFIERS[equation.primitive.name], numbers, axes, keepdims=0), bool)


def _select(graph: Graph, equation: Any, given: list[str]) -> str:
    which, otherwise, then = given
    if _aval(equation).dtype != bool:
        raise NotImplementedError("a choice by number")
    if _result(equation).dtype == bool:
        return graph.add("Or", graph.add("And", which, then), graph.add("And", graph.add("Not", which), otherwise))
    return graph.add("Where", which, then, otherwise)


def _clamp(graph: Graph, equation: Any, given: list[str]) -> str:
    del equation
    low, values, high = given
    return graph.add("Min", graph.add("Max", values, low), high)


def _integer_power(graph: Graph, equation: Any, given: list[str]) -> str:
    return graph.add("Pow", given[0], _number(graph, equation, equation.params["y"]))


def _square(graph: Graph, equation: Any, given: list[str]) -> str:
    del equation
    return graph.add("Mul", given[0], given[0])


def _reciprocal_root(graph: Graph, equation: Any, given: list[str]) -> str:
    del equation
    return graph.add("Reciprocal", graph.add("Sqrt", given[0]))


def _erfc(graph: Graph, equation: Any, given: list[str]) -> str:
    return graph.add("Sub", _number(graph, equation, 1), graph.add("Erf", given[0]))


def _log1p(graph: Graph, equation: Any, given: list[str]) -> str:
    """Exact for small numbers too: `log(1 + x)` is corrected by what rounding has made of `1 + x`."""
    (x,), one = given, _number(graph, equation, 1)
    sum_ = graph.add("Add", x, one)
    is_lost = graph.add("Or", graph.add("Equal", sum_, one), graph.add("IsInf", x))
    difference = graph.add("Where", is_lost, one, graph.add("Sub", sum_, one))
    corrected = graph.add("Div", graph.add("Mul", graph.add("Log", sum_), x), difference)
    return graph.add("Where", is_lost, x, corrected)


def _expm1(graph: Graph, equation: Any, given: list[str]) -> str:
    """`2 tanh(x / 2) / (1 - tanh(x / 2))`, exact for small numbers too; far from 0 the exponential minus one."""
    (x,), one, two = given, _number(graph, equation, 1), _number(graph, equation, 2)
    half = graph.add("Tanh", graph.add("Div", x, two))
    near = graph.add("Div", graph.add("Mul", half, two), graph.add("Sub", one, half))
    is_near = graph.add("Less", graph.add("Abs", x), one)
    return graph.add("Where", is_near, near, graph.add("Sub", graph.add("Exp", x), one))


def _is_finite(graph: Graph, equation: Any, given: list[str]) -> str:
    del equation
    return graph.add("Not", graph.add("Or", graph.add("IsInf", given[0]), graph.add("IsNaN", given[0])))


def _iota(graph: Graph, equation: Any, given: list[str]) -> str:
    del given
    shape, axis = _result(equation).shape, equation.params["dimension"]
    length = graph.add("Reshape", graph.size(shape[axis]), graph.constant([], np.int64))
    numbers = graph.add("Range", graph.constant(0, np.int64), length, graph.constant(1, np.int64))
    placed = graph.add("Reshape", numbers, graph.constant([-1 if one == axis else 1 for one in range(len(shape))], np.int64))
    return _cast(graph, graph.add("Expand", placed, graph.shape(shape)), _result(equation).dtype)


def _size(graph: Graph, equation: Any, given: list[str]) -> str:
    del given
    scalar = graph.add("Reshape", graph.size(equation.params["dim"]), graph.constant([], np.int64))
    return _cast(graph, scalar, _result(equation).dtype)


def _gather(graph: Graph, equation: Any, given: list[str]) -> str:
    """Parts of an array by their places along one axis, as `x[..., 0]` and `jnp.take` ask for them."""
    numbers, sizes, shape = equation.params["dimension_numbers"], equation.params["slice_sizes"], _aval(equation).shape
    if len(_aval(equation, 1).shape) == 1:
        places = {axis: graph.constant([place], np.int64) for place, axis in enumerate(numbers.start_index_map)}
        zero, found = graph.constant([0], np.int64), _cast(graph, given[1], np.int64)
        starts = [graph.add("Gather", found, places[axis]) if axis in places else zero for axis in range(len(shape))]
        part = _part(graph, given[0], graph.add("Concat", *starts, axis=0), shape, sizes)
        return graph.add("Reshape", part, graph.shape(_result(equation).shape))
    if (
        numbers.operand_batching_dims
        or len(numbers.start_index_map) != 1
        or numbers.collapsed_slice_dims != numbers.start_index_map
    ):
        raise NotImplementedError("a selection along several axes")
    (axis,), behind = numbers.start_index_map, len(_aval(equation, 1).shape) - 1
    others = [one for one in range(len(_result(equation).shape)) if not axis <= one < axis + behind]
    if [str(size) for place, size in enumerate(sizes) if place != axis] != [
        str(size) for place, size in enumerate(shape) if place != axis
    ] or list(numbers.offset_dims) != others:
        raise NotImplementedError("a selection of parts of slices")
    last = graph.add("Sub", graph.size(shape[axis]), graph.constant([1], np.int64))
    # JAX forgives places beyond the end, ONNX does not.
    inside = graph.add("Min", graph.add("Max", _cast(graph, given[1], np.int64), graph.constant([0], np.int64)), last)
    return graph.add("Gather", given[0], graph.add("Squeeze", inside, graph.constant([-1], np.int64)), axis=axis)


def _dynamic_slice(graph: Graph, equation: Any, given: list[str]) -> str:
    starts = [graph.add("Reshape", _cast(graph, one, np.int64), graph.constant([1], np.int64)) for one in given[1:]]
    starts = graph.add("Concat", *starts, axis=0)
    return _part(graph, given[0], starts, _aval(equation).shape, equation.params["slice_sizes"])


def _part(graph: Graph, array: str, starts: str, shape: Sequence[Any], sizes: Sequence[Any]) -> str:
    """A part of an array of a shape; where it would go beyond the end it begins earlier, as that of JAX."""
    lengths = graph.shape(sizes)
    last = graph.add("Sub", graph.shape(shape), lengths)
    starts = graph.add("Min", graph.add("Max", starts, graph.constant([0], np.int64)), last)
    ends = graph.add("Add", starts, lengths)
    return graph.add("Slice", array, starts, ends, graph.constant(np.arange(len(shape)), np.int64))


def _same(operator: str) -> Rule:
    return lambda graph, equation, given: graph.add(operator, *given)


RULES: Mapping[str, Rule] = {
    **{name: _same(operator) for name, operator in _SAME.items()},
    **dict.fromkeys(_AS_IT_IS, lambda graph, equation, given: given[0]),
    **dict.fromkeys(_RESHAPES, _reshape),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(_QUANTIFIERS, _quantifier),
    "ne": _not_equal,
    "convert_element_type": _convert,
    "broadcast_in_dim": _broadcast,
    "transpose": _transpose,
    "concatenate": _concatenate,
    "stack": _stack,
    "slice": _slice,
    "pad": _pad,
    "select_n": _select,
    "clamp": _clamp,
    "integer_pow": _integer_power,
    "square": _square,
    "rsqrt": _reciprocal_root,
    "erfc": _erfc,
    "log1p": _log1p,
    "expm1": _expm1,
    "is_finite": _is_finite,
    "iota": _iota,
    "dim_as_value": _size,
    "gather": _gather,
    "dynamic_slice": _dynamic_slice,
}
