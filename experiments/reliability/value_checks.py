"""Values and gradients at predictions where losses have poles: one program at a time, `vmap`, blocks and the compiled form agree.

What the forms disagree on by more than `CLOSE` is put to the reference of the tests, in stochastic arithmetic: it is wrong only
where rounding cannot explain it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from experiments.reliability.drawing import SPACES, draw_chunk
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.program import Layout
from tests.core import forms
from tests.core.random_graphs import Batch, Setting

# What a part of the predictions is set to, a batch for each.
SPECIAL = (0.0, 1.0, 1e-30, np.inf, np.nan)
CLOSE = 1e-9
SHAPE = (6, 1, 1, 3)
_ONE_HOT = ("target",)
Results = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Checked:
    """What came of a chunk.

    Attributes:
      graphs: how many there were, each at all of `SPECIAL`.
      apart: values and gradients in which the forms differ, of a graph at one of `SPECIAL`.
      wrong: those of them that rounding does not explain, a line each.
    """

    graphs: int
    apart: int
    wrong: list[str]


def batch_with(special: float, layout: Layout, seed: int) -> Batch:
    """Float64 inputs; a third of the elements of the first, which is what a network predicts, are special."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for name in layout.inputs:
        shape = (*SHAPE[:-1], 1) if name in layout.per_sample_inputs else SHAPE
        arrays[name] = generator.uniform(0.02, 0.98, shape)
        if name in _ONE_HOT:
            arrays[name] = np.eye(shape[-1])[generator.integers(0, shape[-1], shape[:-1])]
    first = layout.inputs[0]
    arrays[first] = np.where(generator.random(arrays[first].shape) < 1 / 3, special, arrays[first])
    mask = np.ones((*SHAPE[:-1], 1), bool)
    return Batch(arrays, mask, generator.uniform(0.5, 2, mask.shape))


def check_values(name: str, seed: int, number: int, size: int, compiled: int) -> Checked:
    """Draws a chunk and checks it; float64 has to be on.

    Args:
      name: of a space of `drawing.SPACES`.
      seed: of the campaign.
      number: of the chunk.
      size: graphs in it.
      compiled: how many of them have their compiled form compared too.
    """
    (branch,) = SPACES[name].branches
    graphs = [pair for one in draw_chunk(name, seed, number, size) for pair in branch.form.graphs(one).values()][:size]
    layout = graphs[0][1]
    return compare_forms([graph for graph, _ in graphs], Setting(layout, (), None), compiled, seed + number)


def compare_forms(graphs: Sequence[Graph], setting: Setting, compiled: int, seed: int) -> Checked:
    """Compares the forms of graphs of one layout, at all of `SPECIAL`."""
    apart, wrong = 0, []
    for special in SPECIAL:
        batch = batch_with(special, setting.layout, seed)
        found = {
            form.__name__: _named(*form(graphs, setting, batch)) for form in (forms.mapped, forms.population, forms.in_blocks)
        }
        if compiled:
            found["compiled"] = _named(*forms.compiled(graphs[:compiled], setting, batch))
        base = found["mapped"]
        for form, results in found.items():
            for part, values in results.items():
                for index in np.flatnonzero(~_agree(values, base[part][: len(values)])):
                    apart += 1
                    if problem := _judge(graphs[index], setting, batch, part, base[part][index], values[index], form):
                        wrong.append(f"{form} at {special}: {problem}")
    return Checked(len(graphs), apart, wrong)


def _named(values: np.ndarray | None, gradients: Results) -> dict[str, np.ndarray]:
    return {**({} if values is None else {"value": values}), **gradients}


def _agree(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """bool `[P]`: equal but for the last digits, and the same NaN and infinities."""
    with np.errstate(all="ignore"):
        near = np.abs(first - second) <= CLOSE * np.maximum(np.abs(first), np.abs(second))
    same = near | (first == second) | (np.isnan(first) & np.isnan(second))
    return same.reshape(len(same), -1).all(1)


def _judge(graph: Graph, setting: Setting, batch: Batch, part: str, *found_and_form) -> str:
    """What is wrong with one of the two, by the reference; empty where rounding explains it."""
    *found, form = found_and_form
    spread = form != "compiled" and bool(setting.layout.per_sample_inputs)
    values, gradients = forms.expected([graph], setting, batch, spread)
    runs = values if part == "value" else gradients[part]
    for one in found:
        compared = forms.compare(one[None], runs, batch.mask)
        if compared.wrong.any():
            place = tuple(np.argwhere(compared.wrong)[0])
            return f"{part} of {graph} is {one[place[1:]]}, not {runs[(0, slice(None), *place[1:])]}"
    return ""
