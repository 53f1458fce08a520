"""An independent reference in NumPy: the value and the gradient of a graph, with hand-written derivatives.

Nothing here uses JAX or the operator registry: each operator is a rule of `reference_rules.py`.

**Arrays** are `[R, N, H, W, C]`, or `[R, N, H, W, 1]` for one value per sample; `R` are runs that differ in their rounding
errors only. Void positions hold NaN throughout, which proves that nothing from there reaches a valid position.

**Tolerance by stochastic arithmetic.** Run 0 is plain. In the other runs every result and every cotangent gets a random relative
error of a few units in the last place. How far the runs spread shows how well conditioned an element is; where they disagree
about NaN or infinity (the logarithm of a rounding residue, say), or about half of the value, no correct answer exists. Equal
numbers get equal errors, so that ties stay ties.
"""

from collections.abc import Mapping

import numpy as np

from jaxloss.graphs.graph import Graph
from tests.core.reference_arithmetic import Rounding, flush
from tests.core.reference_operators import DOT, MULTIPLY, RULES
from tests.core.reference_rules import CHANNELS, At, Rule, elementwise


def evaluate(
    graph: Graph,
    operators: str,
    arrays: Mapping[str, np.ndarray],
    mask: np.ndarray,
    cotangent: np.ndarray,
    *,
    spread: bool = False,
    rounding: Rounding | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The unreduced loss and the gradient of `sum(cotangent * loss)` over the valid positions.

    Args:
      graph: computed as it stands, equal sub-expressions as often as they occur.
      operators: name of the operator set.
      arrays: name -> float `[N, H, W, C]` or, for one value per sample, `[N, H, W, 1]`.
      mask: bool `[N, H, W, 1]`.
      cotangent: float `[N, H, W, 1]`.
      spread: a value per sample is held C times, and its cotangent in C shares that add up, as the interpreter does. The two
        forms differ where a slope is infinite: 0 * inf + 1 * inf is NaN, (0 + 1) * inf is not.
      rounding: random errors, or None for one plain run.

    Returns:
      loss `[R, N, H, W, C]` (one value per sample is spread evenly over C) and the gradients by name, `[R, N, H, W, .]`.
    """
    rounding = rounding or Rounding(0, 0, 0)
    at = At(mask, rounding)
    dtype = cotangent.dtype
    channels = max(array.shape[-1] for array in arrays.values())
    positions = cotangent.shape
    per_sample: list[bool] = []
    values: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if node.is_operator:
                rule = _rule(operators, node.name, all(per_sample[i] for i in node.operands))
                sample = rule is DOT or all(per_sample[i] for i in node.operands)
                value = rule.forward(at, *(values[i] for i in node.operands))
                if not rule.exact:
                    value = rounding(value, rule.correctly_rounded)
            else:
                value = np.full(positions, node.value, dtype) if node.is_constant else np.where(mask, arrays[node.name], np.nan)
                value = np.broadcast_to(flush(value.astype(dtype)), (rounding.runs, *value.shape))
                sample = node.is_constant or (arrays[node.name].shape[-1] == 1 and channels > 1)
            if sample and spread:
                value = np.broadcast_to(value[..., :1], (*value.shape[:-1], channels))
            per_sample.append(sample)
            values.append(value)

        share = channels if per_sample[-1] else 1
        loss = np.broadcast_to(values[-1] / dtype.type(share), (rounding.runs, *positions[:-1], channels))
        cotangents: list[np.ndarray | None] = [None] * len(graph.nodes)
        incoming = np.broadcast_to(np.where(mask, cotangent, 0), (rounding.runs, *positions[:-1], channels)) / dtype.type(share)
        cotangents[-1] = _fit(incoming, values[-1])
        for index in reversed(range(len(graph.nodes))):
            node, incoming = graph.nodes[index], cotangents[index]
            if not node.is_operator or incoming is None:
                continue
            rule = _rule(operators, node.name, all(per_sample[i] for i in node.operands))
            if rule is DOT and spread:
                incoming = incoming.sum(CHANNELS, keepdims=True)
            operands = [values[i] for i in node.operands]
            # The interpreter computes the result again for its slope: the same number, not the same rounding errors.
            result = values[index] if rule.exact else rounding(rule.forward(at, *operands), rule.correctly_rounded)
            results = rule.backward(at, incoming, result, *operands)
            for operand, passed in zip(node.operands, results, strict=True):
                if passed is not None:
                    passed = _fit(passed if rule.exact else rounding(flush(passed), rule.correctly_rounded), values[operand])
                    cotangents[operand] = passed if cotangents[operand] is None else flush(cotangents[operand] + passed)
        gradients = {name: np.zeros((rounding.runs, *array.shape), dtype) for name, array in arrays.items()}
        for node, incoming in zip(graph.nodes, cotangents, strict=True):
            if node.is_input and incoming is not None:
                gradients[node.name] = gradients[node.name] + _fit(np.where(mask, incoming, 0), gradients[node.name])
    return loss, gradients


def _rule(operators: str, name: str, on_samples: bool) -> Rule:
    """Over the single channel of a value per sample, Dot is a product and Softmax is 1 (which x - x + 1 is, NaN included)."""
    if operators == "cse_autoloss" and on_samples:
        if name == "Dot":
            return MULTIPLY
        if name == "Softmax":
            return elementwise(lambda x: x - x + 1, lambda g, r, x: g - g, correctly_rounded=True)
    return RULES[operators][name]


def _fit(cotangent: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Sums a cotangent over the channels where the value was broadcast, or repeats it where the rule kept one channel."""
    if value.shape[-1] == 1 and cotangent.shape[-1] > 1:
        return cotangent.sum(CHANNELS, keepdims=True)
    return np.broadcast_to(cotangent, (cotangent.shape[0], *value.shape[1:]))
