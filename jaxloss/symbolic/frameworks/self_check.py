"""What an exported file compares itself with when it is run: arrays, and the value and gradient that JAX finds for them."""

import math
import types
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.symbolic.domain import TARGET, ValueRange
from jaxloss.symbolic.frameworks.dialect import Dialect

# A few samples, and an image: `[N, C]` and `[N, H, W, C]`.
FLAT, IMAGE = (4, 3), (1, 3, 3, 2)
# For inputs that may be any number.
_LOW, _HIGH = -2.0, 2.0

_MAIN = """

# (function, its arrays, the loss, its gradient for the first array), as JAX computes them in float64.
CASES = [
{cases}
]

if __name__ == "__main__":
    _check(CASES)
    print("{words}")
"""


def shapes_of(num_channels: int | None = None) -> tuple[tuple[int, ...], ...]:
    """Of a few samples, and of an image; with so many channels, where a loss needs a number of its own."""
    return tuple(shape if num_channels is None else (*shape[:-1], num_channels) for shape in (FLAT, IMAGE))


def self_check(
    source: str,
    functions: Mapping[str, Mapping[str, ValueRange]],
    dialect: Dialect,
    shapes: Sequence[tuple[int, ...]] = (FLAT, IMAGE),
) -> str:
    """The end of a translated module, which compares itself with the original when it is run as a file.

    Args:
      source: of the original, in JAX.
      functions: function of the module -> input -> (low, high). `target` is one-hot.
      dialect: of the translated module.
      shapes: of arrays that the functions take.
    """
    module = types.ModuleType("loss")
    exec(compile(source, "loss.py", "exec"), module.__dict__)
    with jax.enable_x64(True):
        cases = [_case(module, name, ranges, shape) for name, ranges in functions.items() for shape in shapes]
    return dialect.check + _MAIN.format(cases="\n".join(cases), words=dialect.check_words).rstrip("\n")


def _case(module: types.ModuleType, name: str, ranges: Mapping[str, ValueRange], shape: tuple[int, ...]) -> str:
    arrays = arrays_of(ranges, shape)
    first, function = next(iter(arrays)), getattr(module, name)
    value, gradient = jax.value_and_grad(lambda array: function(**{**arrays, first: array}))(jnp.asarray(arrays[first]))
    written = ", ".join(f'"{key}": {_written(array)}' for key, array in arrays.items())
    return f"    ({name}, {{{written}}}, {_written(value)}, {_written(gradient)}),"


def arrays_of(ranges: Mapping[str, ValueRange], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Arrays of one shape that a loss may be given, float64: numbers inside the range of each input, and a one-hot `target`."""
    random = np.random.default_rng(1)
    arrays = {}
    for name, (low, high) in ranges.items():
        if name == TARGET:
            arrays[name] = np.eye(shape[-1])[random.integers(shape[-1], size=shape[:-1])]
        else:
            low, high = low if math.isfinite(low) else _LOW, high if math.isfinite(high) else _HIGH
            # Few digits, and none of the ends.
            arrays[name] = np.round(random.uniform(low + 0.05 * (high - low), high - 0.05 * (high - low), shape), 3)
    return arrays


def _written(array) -> str:
    """A number, or lists of numbers, as Python."""
    array = np.asarray(array, np.float64)
    if array.ndim:
        return f"[{', '.join(map(_written, array))}]"
    return f"{float(array):.10g}" if np.isfinite(array) else f'float("{float(array)}")'
