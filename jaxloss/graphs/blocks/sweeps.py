"""Runs a schedule: the gradients of a population of programs, block after block (see `graphs.blocks.schedule`)."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.blocks.lowering import Backward, backward_operations
from jaxloss.graphs.blocks.schedule import Schedule, Shape
from jaxloss.graphs.interpret import full_shape, input_tensor, pull_back
from jaxloss.graphs.operators.operator import Neighbourhood, Operator


@dataclasses.dataclass(frozen=True)
class Blocks:
    """The operations of a population on inputs of one shape.

    Attributes:
      shape: size of the schedules.
      mask: bool `[N, H, W, 1]`.
      cotangent: `[N, H, W, C]` of the unreduced loss: its mask, where the sum over all valid elements is minimised.
      apart: Mean over n sees one sample at a time, as if each were a batch of its own.
    """

    shape: Shape
    mask: Array
    cotangent: Array
    apart: bool

    @property
    def tensor(self) -> tuple[int, ...]:
        """`(N, H, W, C)` of every value."""
        return self.cotangent.shape

    def begin(self, schedule: Schedule, memory: Array, inputs: LossInputs) -> Array:
        """Writes all that does not depend on the varying inputs.

        Args:
          schedule: of the population.
          memory: `[rows, N * H * W * C]`, with any contents.
          inputs: the fixed inputs are read, the others may be absent.
        """
        shape, names = self.shape, self.shape.layout.inputs
        seed = self.cotangent.astype(memory.dtype)
        rows = [jnp.zeros_like(seed), seed, seed / self.tensor[-1]]
        rows += [jnp.broadcast_to(input_tensor(inputs, names[position]), self.tensor) for position in shape.fixed]
        constants = jnp.broadcast_to(schedule.constants.astype(seed.dtype)[:, None], (shape.max_constants, seed.size))
        memory = memory.at[: shape.first_constant].set(jnp.stack(rows).reshape(-1, seed.size))
        memory = memory.at[shape.first_constant : shape.first_varying].set(constants)
        return self._run(schedule, memory, jnp.int32(0), schedule.once)

    def gradients(self, schedule: Schedule, memory: Array, varying: Array) -> tuple[Array, Array]:
        """The gradient of each lane's loss.

        Args:
          schedule: of the population.
          memory: from `begin`, or from the call before.
          varying: `[V, P, N, H, W, C]` the varying inputs of every lane, void positions filled.

        Returns:
          The gradient, shaped as `varying`, and the memory.
        """
        rows = varying.reshape(-1, memory.shape[1])
        memory = lax.dynamic_update_slice_in_dim(memory, rows, self.shape.first_varying, 0)
        memory = self._run(schedule, memory, schedule.once, schedule.length)
        return memory[schedule.gradients].reshape(varying.shape), memory

    def _run(self, schedule: Schedule, memory: Array, start: Array, end: Array) -> Array:
        branches = self._branches()

        def block(index: Array, memory: Array) -> Array:
            result = lax.switch(schedule.operations[index], branches, memory, schedule.operands[index])
            return lax.dynamic_update_slice_in_dim(memory, result, schedule.results[index], 0)

        return lax.fori_loop(start, end, block, memory)

    def _branches(self) -> list[Callable[[Array, Array], Array]]:
        """By number of the operation: `(memory, operands [3, G]) -> [G, N * H * W * C]`."""
        operators = self.shape.layout.operators
        return [
            lambda memory, operands: _rows(memory, operands[0]) + _rows(memory, operands[1]),
            *(self._forward(operator) for operator in operators.operators),
            *(self._backward(one, operators.operators[one.opcode - 1]) for one in backward_operations(operators).values()),
        ]

    def _forward(self, operator: Operator):
        function = operator.function
        if operator.aggregates:
            function = self._on_rows(lambda neighbourhood: full_shape(operator, neighbourhood))

        def branch(memory: Array, operands: Array) -> Array:
            return function(*(_rows(memory, operands[i]) for i in range(operator.arity)))

        return branch

    def _backward(self, one: Backward, operator: Operator):
        def function(cotangent: Array, *values: Array) -> Array:
            return jax.vjp(operator.function, *values)[1](cotangent)[one.operand]

        if operator.aggregates:
            function = self._on_rows(
                lambda neighbourhood: lambda *tensors: pull_back(operator, neighbourhood)(*tensors)[one.operand]
            )

        def branch(memory: Array, operands: Array) -> Array:
            values = [_rows(memory, operands[i]) for i in range(operator.arity)]
            return function(_rows(memory, operands[2]), *values)

        return branch

    def _on_rows(self, function: Callable[[Neighbourhood], Callable[..., Array]]) -> Callable[..., Array]:
        """What `function` gives for a neighbourhood, a function of tensors, on rows `[G, N * H * W * C]`."""

        def on_rows(*rows: Array) -> Array:
            tensors = [row.reshape(-1, *self.tensor) for row in rows]
            return jax.vmap(on_tensor)(*tensors).reshape(rows[0].shape)

        def on_sample(mask: Array, *samples: Array) -> Array:
            return function(Neighbourhood(mask[None]))(*(sample[None] for sample in samples))[0]

        def on_tensor(*tensors: Array) -> Array:
            if not self.apart:
                return function(Neighbourhood(self.mask))(*tensors)
            return jax.vmap(on_sample)(self.mask, *tensors)

        return on_rows


def _rows(memory: Array, indices: Array) -> Array:
    return memory.at[indices].get(mode="promise_in_bounds")
