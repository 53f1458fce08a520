"""What has to hold of a loss that is written, read, given a key, put into its canonical form and encoded."""

import hashlib
from collections.abc import Iterator

import jax
import numpy as np

from experiments.reliability.drawing import SPACES, draw_chunk, reordered
from jaxloss.core.form import Expression, Form
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout, decode, encode


def check_texts(name: str, seed: int, number: int, size: int) -> tuple[str, list[str]]:
    """Draws a chunk and checks it.

    Args:
      name: of a space of `drawing.SPACES`.
      seed: of the campaign.
      number: of the chunk.
      size: losses in it.

    Returns:
      SHA-256, in hexadecimal, of all texts, keys, canonical texts and programs, which no other process may find different; and
      what does not hold, a line each.
    """
    (branch,) = SPACES[name].branches
    digest, wrong = hashlib.sha256(), []
    generator = np.random.default_rng((seed, number))
    for expression in draw_chunk(name, seed, number, size):
        form = branch.form
        text, key = form.write(expression), form.key(expression)
        encoded = form.encode(expression)
        for part in (text, key, form.write(form.canonical(expression))):
            digest.update(part.encode() + b"\0")
        for leaf in jax.tree.leaves(encoded):
            digest.update(np.asarray(leaf).tobytes())
        problems = [*_of_expression(form, expression, text, key, encoded)]
        for graph, layout in form.graphs(expression).values():
            problems += _of_graph(generator, graph, layout)
        wrong += [f"{name}: {problem}: {text}" for problem in problems]
    return digest.hexdigest(), wrong


def _of_expression(form: Form, expression: Expression, text: str, key: str, encoded: object) -> Iterator[str]:
    back, canonical = form.parse(text), form.canonical(expression)
    if form.write(back) != text:
        yield f"read and written again it is {form.write(back)}"
    if form.key(back) != key:
        yield "read it has another key"
    if form.canonical(back) != canonical:
        yield "read it has another canonical form"
    if form.key(canonical) != key:
        yield "its canonical form has another key"
    if form.canonical(canonical) != canonical:
        yield "the canonical form of its canonical form differs"
    if not same(form.encode(back), encoded):
        yield "read it has another program"


def _of_graph(generator: np.random.Generator, graph: Graph, layout: Layout) -> Iterator[str]:
    operators, program = layout.operators, encode(graph, layout)
    back = decode(program, layout)
    if back.key(operators) != graph.key(operators):
        yield "decoded it has another key"
    if not same(encode(back, layout), program):
        yield "decoded and encoded it has another program"
    other = reordered(generator, graph, layout)
    if other.key(operators) != graph.key(operators) or other.canonical(operators) != graph.canonical(operators):
        yield f"with its operands in another order it has another key or canonical form, {other}"
    if graph.merged().key(operators) != graph.key(operators) or graph.merged() != graph.merged().merged():
        yield "merged it has another key, or merges again"


def same(first: object, second: object) -> bool:
    """Whether two encoded losses are the same to the bit."""
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.asarray(one).tobytes() == np.asarray(other).tobytes() for one, other in pairs)
