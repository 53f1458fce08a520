"""Random graphs and random batches for the three operator sets."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import strategies as st

from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.graphs.program import Layout
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS

MAX_OPERATORS = 16
SPATIAL = (2, 5, 4, 3)
FLAT = (6, 1, 1, 4)


@dataclasses.dataclass(frozen=True)
class Setting:
    """An operator set with its usual leaves.

    Attributes:
      layout: as a space would declare it.
      constants: that the graphs may hold.
      draw: `(random, shape)` to the arrays by name, special values among generic ones.
    """

    layout: Layout
    constants: tuple[float, ...]
    draw: Callable[[np.random.Generator, tuple[int, ...]], dict[str, np.ndarray]]

    @property
    def name(self) -> str:
        return self.layout.operators.name


def _with_special_values(random: np.random.Generator, values: np.ndarray, special: Sequence[float]) -> np.ndarray:
    """Sets a tenth of the elements to special values, where operators have kinks, poles and ties."""
    return np.where(random.random(values.shape) < 0.1, random.choice(special, values.shape), values)


def _one_hot(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.eye(shape[-1])[random.integers(0, shape[-1], shape[:-1])]


def _draw_zero(random, shape):
    prediction = _with_special_values(random, random.uniform(0.02, 0.98, shape), [0, 0.5, 1, -0.25, 2])
    return {"prediction": prediction, "target": _one_hot(random, shape)}


def _draw_gms(random, shape):
    return {"cosine": _with_special_values(random, random.uniform(-0.98, 0.98, shape), [-1, -0.5, 0, 0.5, 1])}


def _draw_cse(random, shape):
    return {
        "x": _with_special_values(random, 2 * random.normal(size=shape), [0, 1, -1, 100]),
        "y": _one_hot(random, shape),
        "w": _with_special_values(random, random.uniform(0, 1, (*shape[:-1], 1)), [0, 1]),
    }


GMS_CONSTANTS = (*(round(0.1 * i, 1) for i in range(11)), 0.22, 1.3)
SETTINGS = {
    setting.name: setting
    for setting in (
        Setting(Layout(AUTOLOSS_ZERO, ("prediction", "target"), MAX_OPERATORS, 1), (1.0,), _draw_zero),
        Setting(Layout(AUTOLOSS_GMS, ("cosine",), MAX_OPERATORS, len(GMS_CONSTANTS)), GMS_CONSTANTS, _draw_gms),
        Setting(Layout(CSE_AUTOLOSS, ("x", "y", "w"), MAX_OPERATORS, 3, frozenset({"w"})), (1.0, 2.0, 3.0), _draw_cse),
    )
}


def random_graph(random: np.random.Generator, setting: Setting, num_operators: int, sharing: bool) -> Graph:
    """A tree, or with `sharing` a directed acyclic graph, of at most `num_operators` operators."""
    nodes: list[Node] = []

    def leaf() -> int:
        if random.random() < 0.2:
            nodes.append(constant(random.choice(setting.constants)))
        else:
            nodes.append(Node(str(random.choice(setting.layout.inputs))))
        return len(nodes) - 1

    unused: list[int] = []  # roots of finished sub-expressions
    for remaining in reversed(range(num_operators)):
        # Only a binary operator can join two roots, and one root must be left at the end.
        unary_allowed = len(unused) <= remaining + 1
        candidates = [operator for operator in setting.layout.operators.visible if operator.arity == 2 or unary_allowed]
        operator = candidates[random.integers(len(candidates))]
        operands = []
        for _ in range(operator.arity):
            if unused and (len(unused) > remaining or random.random() < 0.7):
                operands.append(unused.pop(random.integers(len(unused))))
            elif sharing and nodes and random.random() < 0.5:
                operands.append(int(random.integers(len(nodes))))
            else:
                operands.append(leaf())
        random.shuffle(operands)
        nodes.append(Node(operator.name, tuple(operands)))
        unused.append(len(nodes) - 1)
    return Graph.build(nodes)


def random_graphs(seed: int, setting: Setting, count: int) -> list[Graph]:
    """Trees and graphs with sharing in turn, of 1 to 16 operators."""
    random = np.random.default_rng(seed)
    return [random_graph(random, setting, int(random.integers(1, MAX_OPERATORS + 1)), bool(i % 2)) for i in range(count)]


@st.composite
def graphs(draw, setting: Setting, max_operators: int = 8) -> Graph:
    """A hypothesis strategy that shrinks towards few operators, the first in the set, and the first input."""
    leaves = [Node(name) for name in setting.layout.inputs] + [constant(value) for value in setting.constants]
    nodes: list[Node] = [draw(st.sampled_from(leaves))]
    for _ in range(draw(st.integers(1, max_operators))):
        operator = draw(st.sampled_from(setting.layout.operators.visible))
        operands = []
        for _ in range(operator.arity):
            if draw(st.booleans()):
                operands.append(len(nodes) - 1 - draw(st.integers(0, len(nodes) - 1)))
            else:
                nodes.append(draw(st.sampled_from(leaves)))
                operands.append(len(nodes) - 1)
        nodes.append(Node(operator.name, tuple(operands)))
    return Graph.build(nodes)


@dataclasses.dataclass(frozen=True)
class Batch:
    """NumPy inputs of a loss, with the cotangent `[N, H, W, 1]` of its sum over the channels."""

    arrays: dict[str, np.ndarray]
    mask: np.ndarray
    cotangent: np.ndarray


def random_batch(seed: int, setting: Setting, shape: tuple[int, ...], masked: bool, dtype=np.float64) -> Batch:
    """A batch where, if `masked`, a third of the positions are void and hold NaN, infinity or huge numbers."""
    random = np.random.default_rng(seed)
    mask = random.random((*shape[:-1], 1)) > (1 / 3 if masked else -1)
    garbage = random.choice([np.nan, np.inf, -np.inf, 1e30], (*shape[:-1], 1))
    arrays = {name: np.where(mask, array, garbage).astype(dtype) for name, array in setting.draw(random, shape).items()}
    return Batch(arrays, mask, random.uniform(0.5, 2, mask.shape).astype(dtype))
