"""Properties of a margin-based softmax loss, judged on the values of its two curves (AutoLoss-GMS, supplement, Section D).

1. `t' >= 0`, 2. `n' >= 0`, 3. `n - t >= 0` on [-1, 1], each on a part of it only: Circle loss keeps the second roughly.

Values are judged, not derivatives: with a detached factor, as in Circle loss, the derivative that trains is not that of the
curve. The same values tell equivalent losses, and are what a predictor sees of a loss. Where something that depends on the cosine
is detached, they do not: `x` trains a network, and a detached `x`, with the same values, teaches nothing.
"""

import hashlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.devices import float64_on_cpu
from jaxloss.core.form import Expression, Form
from jaxloss.core.types import Array, LossInputs
from jaxloss.core.verdicts import ACCEPTED, Reason, Verdict
from jaxloss.filters.base import UNDECIDED, Cost, Screened
from jaxloss.filters.equivalence import LossMemory
from jaxloss.graphs.graph import Graph
from jaxloss.graphs.interpret import interpret
from jaxloss.graphs.program import Layout, Program, encode
from jaxloss.systems.autoloss_gms.settings import PropertySettings

OWN_NOT_RISING = Reason(
    "own_not_rising", "its curve t does not rise with the cosine: the own class would be pushed away", leaves_row=False
)
OTHER_NOT_RISING = Reason(
    "other_not_rising", "its curve n does not rise with the cosine: other classes would be drawn near", leaves_row=False
)
OWN_ABOVE_OTHER = Reason("own_above_other", "its curve t lies above n: there is no margin between the classes", leaves_row=False)

# Graphs in one call; a shorter list is filled up.
_GRAPHS_PER_CALL = 128


class CurveSampler:
    """Values and slopes of graphs of one input on [-1, 1], in float64, many graphs in one call.

    The call runs on the CPU whatever the device: it takes a real branch at every operator, and other devices may lack float64.
    """

    def __init__(self, layout: Layout, num_points: int):
        """Args:
        layout: of the graphs, with a single input.
        num_points: `N`.
        """
        self._layout, self.num_points = layout, num_points
        self.compilations = 0
        self._compiled = jax.jit(self._sample)

    def __call__(self, graphs: Sequence[Graph]) -> np.ndarray:
        """Float64 `[M, 2, N]`: values, and the slopes that train; NaN and infinities where the operators give them."""
        programs = [encode(graph, self._layout) for graph in graphs]
        parts = [np.zeros((0, 2, self.num_points))]
        with float64_on_cpu():
            for first in range(0, len(programs), _GRAPHS_PER_CALL):
                chosen = programs[first : first + _GRAPHS_PER_CALL]
                filled = chosen + chosen[:1] * (_GRAPHS_PER_CALL - len(chosen))
                stacked = jax.tree.map(lambda *rows: np.stack(rows), *filled)
                parts.append(np.asarray(self._compiled(stacked))[: len(chosen)])
        return np.concatenate(parts)

    def _sample(self, programs: Program) -> Array:
        self.compilations += 1  # counted while tracing: once per compilation
        points = jnp.linspace(-1.0, 1.0, self.num_points).reshape(-1, 1, 1, 1)

        def values_and_slopes(program: Program) -> Array:
            def curve(points: Array) -> Array:
                return interpret(program, self._layout, LossInputs.create({self._layout.inputs[0]: points}))

            values, pull_back = jax.vjp(curve, points)
            return jnp.stack([values.reshape(-1), pull_back(jnp.ones_like(values))[0].reshape(-1)])

        return jax.lax.map(values_and_slopes, programs)


class CurveFilter:
    """Checks the properties, and describes a loss by its rounded curves and its scale. See `base.Filter`."""

    name, title, cost, remembers = "curves", "a look at the curves", Cost.CALL, True
    reasons = (OWN_NOT_RISING, OTHER_NOT_RISING, OWN_ABOVE_OTHER)

    def __init__(self, form: Form, settings: PropertySettings):
        """Args:
        form: whose expressions have two curves, that of the own class first, see `Form.curves`.
        settings: of the check.
        """
        self._form, self._settings = form, settings
        self._sampler = CurveSampler(form.layout, settings.num_points)

    @property
    def compilations(self) -> int:
        """See `base.Filter.compilations`."""
        return self._sampler.compilations

    def curves(self, expressions: Sequence[Expression]) -> np.ndarray:
        """The rounded values `f_t` and `f_n`, float64 `[M, 2, N]`."""
        return self._sampled(expressions)[:, :, 0]

    def check(self, expressions: Sequence[Expression], known: Sequence[Screened], memory: LossMemory) -> list[Screened]:
        """See `base.Filter.check`."""
        del known, memory  # nothing comes before it
        return [self._screen_one(*pair) for pair in zip(expressions, self._sampled(expressions), strict=True)]

    def _sampled(self, expressions: Sequence[Expression]) -> np.ndarray:
        """Rounded values and slopes of both curves, float64 `[M, 2, 2, N]`."""
        graphs = [graph for expression in expressions for graph in self._form.curves(expression)]
        different = list(dict.fromkeys(graphs))
        with np.errstate(over="ignore"):  # what is beyond all numbers when rounded is infinite
            rounded = np.round(self._sampler(different), self._settings.digits) + 0.0
        rows = dict(zip(different, rounded, strict=True))
        return np.array([rows[graph] for graph in graphs]).reshape(-1, 2, 2, self._settings.num_points)

    def _screen_one(self, expression: Expression, sampled: np.ndarray) -> Screened:
        curves, slopes = sampled[:, 0], sampled[:, 1]
        reason, share = self._judge(curves)
        if self._settings.enabled and reason is not ACCEPTED:
            return Screened(Verdict(reason, share))
        compared = [curves]
        if self._settings.slopes:
            # Only where values do not tell them: elsewhere a kink or a pole would part what is the same.
            for graph, slope in zip(self._form.curves(expression), slopes, strict=True):
                compared.append(slope if self._detaches_input(graph) else slope[:0])
        # One bit pattern for all NaNs; where a slope is left out, its place stays.
        content = b"|".join(np.where(np.isnan(part), np.nan, part).tobytes() for part in compared)
        content += " ".join(repr(float(value)) for value in self._form.numbers(expression).values()).encode()
        signature = hashlib.blake2b(content, digest_size=16).hexdigest()
        # Trained and rejected ones are told by the same description.
        return Screened(UNDECIDED, signature, signature)

    def _detaches_input(self, graph: Graph) -> bool:
        """Whether the graph holds back the gradient of something that depends on the input."""
        depends: list[bool] = []
        for node in graph.nodes:
            depends.append(node.is_input or any(depends[operand] for operand in node.operands))
        operators = self._form.layout.operators
        return any(
            depends[index] and not operators[node.name].passes_gradient
            for index, node in enumerate(graph.nodes)
            if node.is_operator
        )

    def _judge(self, curves: np.ndarray) -> tuple[Reason, float]:
        """The first property that does not hold, and the share of points on which it does."""
        own, other = curves
        with np.errstate(invalid="ignore"):
            shares = {
                OWN_NOT_RISING: np.mean(np.diff(own) >= 0),
                OTHER_NOT_RISING: np.mean(np.diff(other) >= 0),
                OWN_ABOVE_OTHER: np.mean(other - own >= 0),
            }
        failed = [(reason, float(share)) for reason, share in shares.items() if share < self._settings.fraction]
        return failed[0] if failed else (ACCEPTED, 1.0)
