"""Encoded candidates of one family side by side, whatever pytrees they are."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from jaxloss.core.types import PyTree
from jaxloss.graphs.program import POPULATION_AXES, Program


def stack_encoded(encoded: Sequence[PyTree], num_devices: int) -> PyTree:
    """Candidates of one family with leading axes `[D, P / D]`; the length of programs is `[D]`, that of the longest of each."""
    lanes = len(encoded) // num_devices

    def longest(part: PyTree) -> PyTree:
        return dataclasses.replace(part, length=part.length.max(axis=-1)) if _is_program(part) else part

    def stack(*rows: PyTree) -> np.ndarray:
        stacked = np.stack(rows)
        return stacked.reshape(num_devices, lanes, *stacked.shape[1:])

    return jax.tree.map(longest, jax.tree.map(stack, *encoded), is_leaf=_is_program)


def encoded_axes(encoded: PyTree) -> PyTree:
    """The axes of one device's stack, for the `in_axes` of `vmap`."""
    return jax.tree.map(lambda part: POPULATION_AXES if _is_program(part) else 0, encoded, is_leaf=_is_program)


def _is_program(part: PyTree) -> bool:
    return isinstance(part, Program)
