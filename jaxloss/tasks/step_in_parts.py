"""One step of a training as three calls: the network, a loss that is compiled for its candidate, and the way back.

The interpreter runs any candidate, and moves a dozen arrays of the loss's size for every operator. Where these are as large as
images, that takes longer than the network. A loss alone is compiled in half a second, the network once for all.
"""

import collections
import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import numpy as np

from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.graphs.blocks.dependence import dependence
from jaxloss.tasks.state import TrainState
from jaxloss.tasks.train_step import TrainStep

# From so many elements of the loss's inputs over a whole training a loss is worth compiling. That takes half a second, once for
# the trainings of a candidate; an element of a step takes 8 ns less than in the interpreter (benchmarks/dense_training.py).
LEAST_ELEMENTS = 3 * 10**7
# Compiled losses that are kept: those of a candidate's trainings follow each other.
KEPT = 8

# `(float arrays of the inputs, all else of them) -> (loss, gradient with respect to the former)`.
CompiledLoss = Callable[[PyTree, PyTree], tuple[Array, PyTree]]


class StepInParts:
    """`TrainStep.step` of one device, in three compiled calls; the same up to rounding."""

    def __init__(
        self,
        step: TrainStep,
        specialised: Callable[[PyTree], Callable[..., Array] | None],
        count: Callable[[], None],
    ):
        """Args:
        step: the pure functions.
        specialised: `(encoded candidate) -> loss`, see `Space.specialised`.
        count: is called whenever the network is compiled.
        """
        self._train_step, self._specialised, self._count = step, specialised, count
        self._losses: collections.OrderedDict[bytes, CompiledLoss | None] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._pays: bool | None = None
        self._forward, self._finish = jax.jit(self._network), jax.jit(self._way_back)

    def __call__(
        self, state: TrainState, encoded: PyTree, learning_rate: Array, train: PyTree, streamed: PyTree | None = None
    ) -> TrainState:
        """See `TrainStep.step`; the state is not given away."""
        arrays, pull_back, rest, variables = self._forward(state, train, streamed)
        loss, cotangents = self._loss_of(encoded)(arrays, rest)
        return self._finish(state, loss, pull_back, cotangents, variables, learning_rate, train)

    def can(self, encoded: PyTree) -> bool:
        """Whether the loss of this candidate can be compiled for itself."""
        return self._loss_of(encoded) is not None

    def pays(self, state: TrainState, train: PyTree, streamed: PyTree | None, num_steps: int) -> bool:
        """Whether the inputs of the loss are so large that a loss is worth compiling, in a training of so many steps."""
        if self._pays is None:
            arrays = jax.eval_shape(self._inputs, state, train, streamed)
            self._pays = sum(leaf.size for leaf in jax.tree.leaves(arrays)) * num_steps >= LEAST_ELEMENTS
        return self._pays

    def _inputs(self, state: TrainState, train: PyTree, streamed: PyTree | None) -> PyTree:
        batch, key = self._train_step.batch(state, train, streamed)
        return {
            name: one.arrays for name, one in self._train_step.forward(state, state.variables["params"], batch, key)[0].items()
        }

    def _network(self, state: TrainState, train: PyTree, streamed: PyTree | None) -> tuple[PyTree, Any, PyTree, PyTree]:
        """The inputs of the loss that depend on the parameters, their pull-back, the other inputs, and updated statistics."""
        self._count()
        batch, key = self._train_step.batch(state, train, streamed)

        def inputs_of(params: PyTree) -> tuple[dict[str, LossInputs], PyTree]:
            return self._train_step.forward(state, params, batch, key)

        learned = _depending(
            lambda params: {name: one.arrays for name, one in inputs_of(params)[0].items()}, state.variables["params"]
        )

        def network(params: PyTree) -> tuple[PyTree, tuple[PyTree, PyTree]]:
            inputs, variables = inputs_of(params)
            arrays, rest = _divided(inputs, learned)
            return arrays, (rest, variables)

        arrays, pull_back, (rest, variables) = jax.vjp(network, state.variables["params"], has_aux=True)
        return arrays, pull_back, rest, variables

    def _way_back(
        self,
        state: TrainState,
        loss: Array,
        pull_back: Callable[[PyTree], tuple[PyTree]],
        cotangents: PyTree,
        variables: PyTree,
        learning_rate: Array,
        train: PyTree,
    ) -> TrainState:
        return self._train_step.after(state, loss, pull_back(cotangents)[0], variables, learning_rate, train)

    def _loss_of(self, encoded: PyTree) -> CompiledLoss | None:
        key = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(encoded))
        with self._lock:
            found = self._losses.pop(key) if key in self._losses else self._compiled(encoded)
            self._losses[key] = found
            if len(self._losses) > KEPT:
                self._losses.popitem(last=False)
        return found

    def _compiled(self, encoded: PyTree) -> CompiledLoss | None:
        function = self._specialised(encoded)
        if function is None:
            return None

        def loss(arrays: PyTree, rest: PyTree) -> Array:
            return self._train_step.loss(function, _joined(arrays, rest))

        return _once(jax.jit(jax.value_and_grad(loss)))


def _once(function: CompiledLoss) -> CompiledLoss:
    """Two threads that meet an uncompiled function would both compile it: the second one waits."""
    first, is_compiled = threading.Lock(), threading.Event()

    def called(arrays: PyTree, rest: PyTree) -> tuple[Array, PyTree]:
        if is_compiled.is_set():
            return function(arrays, rest)
        with first:
            result = function(arrays, rest)
            is_compiled.set()
            return result

    return called


def _depending(function: Callable[[PyTree], Mapping[str, Mapping[str, Array]]], params: PyTree) -> dict[str, set[str]]:
    """Branch -> names of its arrays that depend on the parameters."""
    shapes = jax.eval_shape(function, params)
    paths = [tuple(part.key for part in path) for path, _ in jax.tree_util.tree_leaves_with_path(shapes)]
    learned = dependence(function, params).any(axis=1)
    return {
        branch: {name for (of, name), is_learned in zip(paths, learned, strict=True) if of == branch and is_learned}
        for branch in shapes
    }


def _divided(
    inputs: Mapping[str, LossInputs], learned: Mapping[str, Collection[str]]
) -> tuple[dict[str, dict[str, Array]], dict[str, LossInputs]]:
    """The arrays of each branch that are learned, and the inputs without them."""
    arrays = {branch: {name: one.arrays[name] for name in sorted(learned[branch])} for branch, one in inputs.items()}
    rest = {
        branch: dataclasses.replace(one, arrays={name: array for name, array in one.arrays.items() if name not in arrays[branch]})
        for branch, one in inputs.items()
    }
    return arrays, rest


def _joined(arrays: Mapping[str, Mapping[str, Array]], rest: Mapping[str, LossInputs]) -> dict[str, LossInputs]:
    return {branch: dataclasses.replace(one, arrays={**one.arrays, **arrays[branch]}) for branch, one in rest.items()}
