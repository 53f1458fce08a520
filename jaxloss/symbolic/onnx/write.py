"""A loss as an ONNX file, without a framework: the `onnx` package writes it, and evaluates it once to see that it is right."""

import importlib.util
import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxloss.core.abstract import named_errors
from jaxloss.core.errors import UserError
from jaxloss.symbolic.describe import Description
from jaxloss.symbolic.domain import ValueRange
from jaxloss.symbolic.frameworks.self_check import FLAT, arrays_of, shapes_of
from jaxloss.symbolic.python_source import function_suffixes

# Of operators, and of the file: what is read since 2023.
OPSET, FILE_VERSION = 18, 9
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


def write_onnx(description: Description, found: str = "") -> bytes:
    """The bytes of an `.onnx` file whose output is the loss, of float32.

    Its inputs are arrays `[N, H, W, C]` of any sizes (H = W = 1 for a sample without positions), or `[N, C]` where a space writes
    its losses itself; every sample and position counts, with the same weight. The output `loss` is a scalar: the sum over C, and
    the mean over N, H and W. With several branches there is an output `loss_BRANCH` for each, and its inputs are
    `BRANCH_INPUT`. It gives values, no gradients: ONNX is read for inference.

    The same graph in float64 is evaluated by the reference of ONNX, and compared with JAX, first.

    Args:
      description: of the loss.
      found: lines on how the loss was found, for the documentation of the graph.

    Raises:
      UserError: onnx is not installed, the loss cannot be written as Python, it uses what ONNX has not, or values differ.
    """
    if importlib.util.find_spec("onnx") is None:
        raise UserError("the format onnx needs the package onnx, which is not installed: pip install onnx, or jaxloss[onnx]")
    source, reading = description.python(found), description.reading
    module = types.ModuleType("loss")
    with named_errors(f"the loss '{reading.text}', written as Python,"):
        exec(compile(source, "loss.py", "exec"), module.__dict__)
        if reading.takes_positions:
            flat, image = shapes_of(reading.num_channels)
            suffixes, shapes = function_suffixes(reading.inputs), (image, (*flat[:1], 1, 1, *flat[1:]))
            symbols = "N, H, W, C" if reading.num_channels is None else f"N, H, W, {reading.num_channels}"
        elif len(reading.inputs) == 1:
            # What a space writes itself has a function `loss` of samples, whatever else it has.
            suffixes, symbols, shapes = dict.fromkeys(reading.inputs, ""), "N, C", (FLAT,)
        else:
            raise UserError("losses of several branches that their space writes itself have no ONNX graph")
        functions = {f"loss{suffix}": getattr(module, f"loss{suffix}") for suffix in suffixes.values()}
        ranges = {f"loss{suffix}": reading.inputs[branch] for branch, suffix in suffixes.items()}
        _check(_model(functions, ranges, symbols, np.float64, ""), functions, ranges, shapes)
        return _model(functions, ranges, symbols, np.float32, module.__doc__ or "").SerializeToString()


def _input_name(output: str, name: str) -> str:
    branch = output.removeprefix("loss").removeprefix("_")
    return f"{branch}_{name}" if branch else name


def _model(
    functions: Mapping[str, Callable[..., Any]],
    ranges: Mapping[str, Mapping[str, ValueRange]],
    symbols: str,
    dtype: type,
    words: str,
) -> Any:
    import jax
    from onnx import checker, helper

    from jaxloss import __version__
    from jaxloss.symbolic.onnx.graph import Graph

    graph, inputs, outputs = Graph(), [], []
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    with jax.enable_x64(dtype is np.float64):
        for output, function in functions.items():
            names = {name: _input_name(output, name) for name in ranges[output]}
            # Sizes of one branch say nothing of those of another.
            own = ", ".join(f"{symbol}{output.removeprefix('loss')}" for symbol in symbols.split(", "))
            shape = jax.export.symbolic_shape(own)
            abstract = {name: jax.ShapeDtypeStruct(shape, dtype) for name in names}
            traced = jax.make_jaxpr(lambda arrays, function=function: function(**arrays))(abstract)
            # In the order in which JAX flattens a dictionary.
            given = [names[name] for name in sorted(names)]
            for name in names.values():
                inputs.append(helper.make_tensor_value_info(name, kind, [str(size) for size in shape]))
            graph.name_sizes(next(iter(names.values())), shape)
            (value,) = _lay_out(graph, traced.jaxpr, traced.consts, given)
            graph.nodes.append(helper.make_node("Identity", [value], [output]))
            outputs.append(helper.make_tensor_value_info(output, kind, []))
    made = helper.make_graph(graph.nodes, "loss", inputs, outputs, graph.constants, doc_string=words)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=FILE_VERSION, producer_name="jaxloss")
    model.producer_version = __version__
    checker.check_model(model)
    return model


def _lay_out(graph: Any, jaxpr: Any, constants: Sequence[Any], given: Sequence[str]) -> list[str]:
    """The nodes of what JAX traced; the names of its results."""
    from jax.extend.core import Literal

    from jaxloss.symbolic.onnx.rules import RULES

    names = dict(zip(jaxpr.constvars, (graph.constant(np.asarray(one)) for one in constants), strict=True))
    names.update(zip(jaxpr.invars, given, strict=True))

    def name_of(variable: Any) -> str:
        if isinstance(variable, Literal):
            return graph.constant(variable.val, variable.aval.dtype)
        return names[variable]

    for equation in jaxpr.eqns:
        arguments = [name_of(variable) for variable in equation.invars]
        inner = next((equation.params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in equation.params), None)
        if inner is not None:
            results = _lay_out(graph, getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), arguments)
        elif equation.primitive.name in RULES:
            try:
                results = [RULES[equation.primitive.name](graph, equation, arguments)]
            except NotImplementedError as error:
                # Of a primitive that is known, a use that no loss of ours has.
                raise UserError(f"the loss computes {equation.primitive.name}, {error}, which is not written as ONNX") from error
        else:
            raise UserError(f"the loss computes {equation.primitive.name}, for which the format onnx has nothing")
        names.update(zip(equation.outvars, results, strict=True))
    return [name_of(variable) for variable in jaxpr.outvars]


def _check(
    model: Any,
    functions: Mapping[str, Callable[..., Any]],
    ranges: Mapping[str, Mapping[str, ValueRange]],
    shapes: Sequence[tuple[int, ...]],
) -> None:
    """Compares values of the graph with those of JAX, both in float64."""
    import jax
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    for shape in shapes:
        arrays = {output: arrays_of(one, shape) for output, one in ranges.items()}
        fed = {_input_name(output, name): array for output, one in arrays.items() for name, array in one.items()}
        with np.errstate(all="ignore"):
            values = evaluator.run(None, fed)
        with jax.enable_x64(True):
            for value, (output, function) in zip(values, functions.items(), strict=True):
                wanted = float(function(**arrays[output]))
                is_same = math.isclose(value, wanted, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
                if not is_same and not (math.isnan(wanted) and np.isnan(value)):
                    raise UserError(f"the ONNX graph gives {float(value):.7g} where JAX gives {wanted:.7g}; it is not written")
