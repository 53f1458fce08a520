"""Formulas of every operator set: from text, and random ones."""

import numpy as np

from jaxloss.graphs.formula import parse
from jaxloss.graphs.graph import Graph, Node, constant
from jaxloss.symbolic.expression import Formula
from jaxloss.systems.autoloss_gms.operators import AUTOLOSS_GMS
from jaxloss.systems.autoloss_zero.operators import AUTOLOSS_ZERO
from jaxloss.systems.cse_autoloss.operators import CSE_AUTOLOSS

OPERATOR_SETS = (AUTOLOSS_ZERO, AUTOLOSS_GMS, CSE_AUTOLOSS)
INPUTS = {"autoloss_zero": ("prediction", "target"), "autoloss_gms": ("cosine",), "cse_autoloss": ("logits", "target")}
BOXES = ("intersection", "union", "enclosing")
RANGES = {"prediction": (0, 1), "target": (0, 1), "cosine": (-1, 1), **dict.fromkeys(BOXES, (0, np.inf))}


def zero(text: str, inputs=INPUTS["autoloss_zero"]) -> Formula:
    return Formula(parse(text, AUTOLOSS_ZERO, inputs), AUTOLOSS_ZERO, inputs, ranges=RANGES)


def random_formula(operators, seed: int) -> Formula:
    """A random graph of up to eight operators, with shared nodes and the constant 1."""
    generator = np.random.default_rng(seed)
    inputs = INPUTS[operators.name]
    nodes = [Node(name) for name in inputs] + [constant(1)]
    for _ in range(generator.integers(3, 9)):
        operator = operators.visible[generator.integers(len(operators.visible))]
        recent = [max(0, len(nodes) - 1 - int(back)) for back in generator.geometric(0.4, size=operator.arity) - 1]
        nodes.append(Node(operator.name, tuple(recent)))
    return Formula(Graph.build(nodes), operators, inputs, ranges=RANGES)
