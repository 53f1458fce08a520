"""The forms of a loss under test, as values and gradients of many graphs, and the comparison with the reference."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from jaxloss.core.types import LossInputs
from jaxloss.graphs.blocks.lowering import lower, max_instructions
from jaxloss.graphs.blocks.schedule import Shape, make_schedule
from jaxloss.graphs.blocks.sweeps import Blocks
from jaxloss.graphs.compile import compile_graph
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.interpret import input_tensor, interpret
from jaxloss.graphs.program import POPULATION_AXES, Layout, encode, stack
from tests.core import reference
from tests.core.random_graphs import Batch, Setting

PAIRS = 5  # of perturbed runs of the reference
# What is compared is what users get of XLA: its emitters of fused operations. Other tests do without, where that can be said.
EMITTERS = {"xla_cpu_use_fusion_emitters": True} if jaxlib.version.__version__.startswith("0.10.") else {}
# What is under test compiles to code that runs for milliseconds: compiling it without optimisation takes a third of the time.
FAST_COMPILATION = {**EMITTERS, "xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

Evaluated = tuple[np.ndarray, dict[str, np.ndarray]]  # values [P, N, H, W, C], gradients by name [P, N, H, W, .]


def value_and_gradient(loss, batch: Batch):
    """`loss(inputs)` and the gradient of its cotangent-weighted sum over the valid positions, as every caller takes it."""
    mask, cotangent = jnp.asarray(batch.mask), jnp.asarray(batch.cotangent)

    def total(arrays):
        inputs = LossInputs.create(arrays, mask)
        values = loss(inputs)
        return jnp.sum(jnp.where(mask, values, 0) * cotangent), values

    gradient, values = jax.grad(total, has_aux=True)(batch.arrays)
    return values, gradient


@functools.partial(jax.jit, static_argnums=(0,), compiler_options=EMITTERS)
def _population(layout: Layout, programs, batch):
    def one(program):
        return value_and_gradient(lambda inputs: interpret(program, layout, inputs), batch)

    return jax.vmap(one, in_axes=(POPULATION_AXES,))(programs)


@functools.partial(jax.jit, static_argnums=(0,), compiler_options=EMITTERS)
def _mapped(layout: Layout, programs, lengths, batch):
    def one(row):
        program = dataclasses.replace(row[0], length=row[1])
        return value_and_gradient(lambda inputs: interpret(program, layout, inputs), batch)

    return jax.lax.map(one, (dataclasses.replace(programs, length=lengths), lengths))


jax.tree_util.register_dataclass(Batch)


def population(graphs: Sequence[Graph], setting: Setting, batch: Batch) -> Evaluated:
    """The interpreter under `vmap`."""
    programs = stack([encode(graph, setting.layout) for graph in graphs])
    return jax.tree.map(np.asarray, _population(setting.layout, programs, batch))


def mapped(graphs: Sequence[Graph], setting: Setting, batch: Batch) -> Evaluated:
    """The interpreter on one program at a time, under `lax.map`."""
    programs = [encode(graph, setting.layout) for graph in graphs]
    lengths = np.stack([program.length for program in programs])
    return jax.tree.map(np.asarray, _mapped(setting.layout, stack(programs), lengths, batch))


@functools.partial(jax.jit, static_argnums=(0,), compiler_options=EMITTERS)
def _in_blocks(shape: Shape, schedule, batch):
    names, mask = shape.layout.inputs, jnp.asarray(batch.mask)
    tensor = jnp.broadcast_shapes(*(batch.arrays[name].shape for name in names))

    def stacked(arrays):
        inputs = LossInputs.create(arrays, mask)
        return jnp.stack([jnp.broadcast_to(input_tensor(inputs, name), tensor) for name in names])

    values, pull_back = jax.vjp(stacked, batch.arrays)
    cotangent = jnp.broadcast_to(jnp.where(mask, batch.cotangent, 0), tensor)
    population = Blocks(shape, mask, cotangent, apart=False)
    memory = jnp.zeros((shape.num_rows, cotangent.size), cotangent.dtype)
    memory = population.begin(schedule, memory, LossInputs.create(batch.arrays, mask))
    lanes = jnp.broadcast_to(values[:, None], (len(names), shape.lanes, *tensor))
    gradients, _ = population.gradients(schedule, memory, lanes)
    return jax.vmap(lambda gradient: pull_back(gradient)[0], in_axes=1)(gradients)


def in_blocks(graphs: Sequence[Graph], setting: Setting, batch: Batch) -> Evaluated:
    """The population sorted into blocks of one operation each, part by part where it is too large for the memory.

    It has no values, only gradients.
    """
    layout, count = setting.layout, len(graphs)
    shape = Shape(layout, tuple(range(len(layout.inputs))), count, width=8, slots=max(4 * count, max_instructions(layout)))
    waiting, found = [lower(encode(graph, layout), layout, shape.varying) for graph in graphs], []
    while waiting:
        size, schedule = 2 * len(waiting), None
        while schedule is None:
            size = max(1, size // 2)
            schedule = make_schedule(waiting[:size], shape)
        gradients = _in_blocks(shape, schedule, batch)
        found.append({name: np.asarray(rows)[: len(waiting[:size])] for name, rows in gradients.items()})
        waiting = waiting[size:]
    return None, jax.tree.map(lambda *parts: np.concatenate(parts), *found)


def compiled(graphs: Sequence[Graph], setting: Setting, batch: Batch) -> Evaluated:
    """The compiled form, all graphs in one `jit`. A value per sample is spread over C, as the interpreter does."""
    results = jax.tree.map(np.asarray, _compiled(tuple(graphs), setting)(batch))
    return jax.tree.map(lambda *rows: np.stack(rows), *results)


@functools.lru_cache(maxsize=4)
def _compiled(graphs: tuple[Graph, ...], setting: Setting):
    """One `jit` of all graphs, kept for the next batch of them: to trace it takes as long as to compile it."""

    def spread(values, channels):
        return jnp.broadcast_to(values / (channels // values.shape[-1]), (*values.shape[:-1], channels))

    losses = [compile_graph(graph, setting.layout.operators) for graph in graphs]

    @functools.partial(jax.jit, compiler_options=FAST_COMPILATION)
    def all_of_them(batch):
        channels = max(array.shape[-1] for array in batch.arrays.values())
        results = [value_and_gradient(loss, batch) for loss in losses]
        return [(spread(values, channels), gradients) for values, gradients in results]

    return all_of_them


def expected(graphs: Sequence[Graph], setting: Setting, batch: Batch, spread: bool, ulps: float = 16) -> Evaluated:
    """The reference in `R = 1 + 2 PAIRS` runs of stochastic arithmetic: values `[P, R, N, H, W, C]`, gradients alike."""
    results = [
        reference.evaluate(
            graph.merged(),
            setting.name,
            batch.arrays,
            batch.mask,
            batch.cotangent,
            spread=spread,
            rounding=reference.Rounding(seed, PAIRS, ulps),
        )
        for seed, graph in enumerate(graphs)
    ]
    return jax.tree.map(lambda *rows: np.stack(rows), *results)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Element by element, against runs `[P, R, ...]` of the reference; void positions are left out.

    Attributes:
      wrong: `[P, ...]` the elements that differ by more than rounding can explain.
      undetermined: `[P, ...]` the elements without a correct answer, or with a tolerance of more than a hundredth.
      valid: `[P, ...]` the elements at valid positions.
    """

    wrong: np.ndarray
    undetermined: np.ndarray
    valid: np.ndarray


def compare(actual: np.ndarray, runs: np.ndarray, mask: np.ndarray, safety: float = 4, base_ulps: float = 64) -> Comparison:
    """Applies the tolerance of stochastic arithmetic. Non-finite elements must be the same NaN or infinity."""
    limits = np.finfo(runs.dtype)
    plain = runs[:, 0]
    with np.errstate(all="ignore"):
        finite = np.isfinite(runs).all(1)
        # 0 for a number, else the NaN or infinity: what all runs must share.
        kind = np.where(np.isfinite(runs), 0, np.where(np.isnan(runs), 2, np.sign(runs)))
        same = (kind == kind[:, :1]).all(1)
        spread = np.abs(runs - plain[:, None]).max(1)
        tolerance = safety * spread + base_ulps * (limits.eps * np.abs(plain) + limits.tiny)
        error = np.abs(actual - plain)
        agree = np.where(finite, error <= tolerance, (actual == plain) | (np.isnan(actual) & np.isnan(plain)))
        # A sum in another order decides whether what is this large overflows.
        near_overflow = np.isfinite(actual) & (np.abs(actual) > limits.max / 64)
        near_overflow |= (np.isfinite(runs) & (np.abs(runs) > limits.max / 64)).any(1)
        hopeless = ~same | near_overflow | (finite & (spread > 0.5 * np.abs(plain)) & (plain != 0))
        blurred = finite & (tolerance > 1e-2 * np.abs(plain)) & (plain != 0)
    valid = np.broadcast_to(mask, plain.shape)
    return Comparison(wrong=valid & ~hopeless & ~agree, undetermined=valid & (hopeless | blurred), valid=valid)
