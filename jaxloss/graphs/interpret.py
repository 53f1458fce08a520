"""The interpreter: runs one program on one batch; `vmap` makes it a population.

It has its own `custom_vjp`. Under `vmap` a switch becomes a select that evaluates every operator. Differentiating through
that select multiplies zero cotangents with the infinite slopes of operators that were not chosen, and 0 * inf is NaN. The
backward sweep here runs each operator's own vjp on the true cotangent and selects among the *results* instead.

On a CPU the loop over the instructions ends with the longest program. An accelerator would ask the host before every trip
whether there is another one: there it runs over all slots that the program's arrays have, and who knows that programs are
short cuts the arrays (`program.shortened`). Unused slots compute nothing that anybody reads, so the results are the same.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxloss.core.types import Array, LossInputs
from jaxloss.graphs.operators.operator import Neighbourhood, Operator
from jaxloss.graphs.program import Layout, Program

# What void positions hold while the loss is computed. Any value would do: what is computed there reaches no valid position,
# forward or backward.
VOID_VALUE = 0.5


def input_tensor(inputs: LossInputs, name: str) -> Array:
    """One named input with void positions filled in, `[N, H, W, C]` or `[N, H, W, 1]`."""
    values = inputs.arrays[name]
    return jnp.where(inputs.mask, values, jnp.asarray(VOID_VALUE, values.dtype))


def loops_ask_the_host() -> bool:
    """Whether a loop whose length is not known when it is compiled waits for the host at every trip: on any accelerator."""
    return jax.default_backend() != "cpu"


def interpret(
    program: Program, layout: Layout, inputs: LossInputs, axis_name: str | None = None, all_slots: bool | None = None
) -> Array:
    """Runs a program.

    Args:
      program: one program (use `vmap` with `POPULATION_AXES` for a population).
      layout: the layout that the program was encoded with; static.
      inputs: the named arrays; all inputs of the layout must be there.
      axis_name: device axis that Mean over n runs over, or None.
      all_slots: runs over all slots, used or not, a number that is known when this is compiled; else over `length` of them.
        None for what suits the device.

    Returns:
      The unreduced loss `[N, H, W, C]`. One value per sample is spread evenly over C, so that the sum over C is that value.
    """
    tensors = [input_tensor(inputs, name) for name in layout.inputs]
    shape = jnp.broadcast_shapes(*(tensor.shape for tensor in tensors))
    values = jnp.stack([jnp.broadcast_to(tensor, shape) for tensor in tensors])
    program = jax.tree.map(jnp.asarray, program)
    constants = program.constants.astype(values.dtype)
    all_slots = loops_ask_the_host() if all_slots is None else all_slots
    result = _run(layout, axis_name, all_slots, program, constants, values, inputs.mask)
    return jnp.where(program.per_sample, result / shape[-1], result)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _run(layout, axis_name, all_slots, program, constants, values, mask) -> Array:
    return _run_forward(layout, axis_name, all_slots, program, constants, values, mask)[0]


def _num_slots(program: Program, all_slots: bool) -> int | Array:
    return program.opcodes.shape[-1] if all_slots else program.length


def _run_forward(layout, axis_name, all_slots, program, constants, values, mask):
    """Values `[I, N, H, W, C]` to the output register `[N, H, W, C]`; all registers are kept for the backward sweep."""
    shape = values.shape[1:]
    neighbourhood = Neighbourhood(mask, axis_name)
    constant_registers = jnp.broadcast_to(constants[:, None, None, None, None], (layout.max_constants, *shape))
    results = jnp.zeros((program.opcodes.shape[-1], *shape), values.dtype)
    registers = jnp.concatenate([values, constant_registers, results])
    branches = [_nothing, *(_forward_branch(operator, neighbourhood) for operator in layout.operators.operators)]

    def step(slot, registers):
        x, y = registers[program.operands[slot, 0]], registers[program.operands[slot, 1]]
        result = lax.switch(program.opcodes[slot], branches, x, y)
        return lax.dynamic_update_index_in_dim(registers, result, layout.first_result + slot, 0)

    registers = lax.fori_loop(0, _num_slots(program, all_slots), step, registers)
    return registers[program.output], (program, registers, mask)


def _run_backward(layout, axis_name, all_slots, saved, cotangent):
    program, registers, mask = saved
    neighbourhood = Neighbourhood(mask, axis_name)
    cotangents = jnp.zeros_like(registers).at[program.output].set(cotangent)
    branches = [_nothing_backward, *(_backward_branch(operator, neighbourhood) for operator in layout.operators.operators)]
    num_slots = _num_slots(program, all_slots)

    def step(index, cotangents):
        slot = num_slots - 1 - index
        first, second = program.operands[slot, 0], program.operands[slot, 1]
        incoming = cotangents[layout.first_result + slot]
        to_first, to_second = lax.switch(program.backward_opcodes[slot], branches, registers[first], registers[second], incoming)
        return cotangents.at[first].add(to_first).at[second].add(to_second)

    cotangents = lax.fori_loop(0, num_slots, step, cotangents)
    num_inputs = len(layout.inputs)
    to_constants = jnp.sum(jnp.where(mask[None], cotangents[num_inputs : layout.first_result], 0), axis=(1, 2, 3, 4))
    return jax.tree.map(_no_gradient, program), to_constants, cotangents[:num_inputs], _no_gradient(mask)


_run.defvjp(_run_forward, _run_backward)


def _no_gradient(leaf: Array) -> Array:
    """The cotangent of a part of the program: integers have none, `constants` enter as a separate argument."""
    if jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
        return jnp.zeros_like(leaf)
    return np.zeros(jnp.shape(leaf), jax.dtypes.float0)


def _nothing(x: Array, y: Array) -> Array:
    del y
    return jnp.zeros_like(x)


def _nothing_backward(x: Array, y: Array, cotangent: Array) -> tuple[Array, Array]:
    del y, cotangent
    return jnp.zeros_like(x), jnp.zeros_like(x)


def full_shape(operator: Operator, neighbourhood: Neighbourhood):
    """The operator on registers: one value per sample is spread over C."""
    return lambda *operands: jnp.broadcast_to(operator(operands, neighbourhood), operands[0].shape)


def pull_back(operator: Operator, neighbourhood: Neighbourhood):
    """`(cotangent, *operands)` to the cotangents of the operands, all of them registers."""

    def of_operands(cotangent: Array, *operands: Array) -> tuple[Array, ...]:
        return jax.vjp(full_shape(operator, neighbourhood), *operands)[1](cotangent)

    return of_operands


def _forward_branch(operator: Operator, neighbourhood: Neighbourhood):
    return lambda x, y: full_shape(operator, neighbourhood)(*(x, y)[: operator.arity])


def _backward_branch(operator: Operator, neighbourhood: Neighbourhood):
    def branch(x, y, cotangent):
        gradients = pull_back(operator, neighbourhood)(cotangent, *(x, y)[: operator.arity])
        return gradients if operator.arity == 2 else (gradients[0], jnp.zeros_like(x))

    return branch
