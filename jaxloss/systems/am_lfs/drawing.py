"""The curves t and tau beside hand-crafted ones (Figure 1), and the gradient that reaches the own similarity (Figure 4)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.spaces.base import Candidate, Space
from jaxloss.spaces.drawing import OTHER, OWN, REFERENCE, Drawing, Line, Panel, Reference
from jaxloss.systems.am_lfs.form import PiecewiseForm, as_theta, curve_t, log_tau
from jaxloss.systems.am_lfs.members import MEMBERS, SOFTMAX, T_DOMAIN, TAU_DOMAIN, Member, fitted
from jaxloss.systems.am_lfs.settings import AMLFSSettings

_NUM_POINTS = 241
# For the gradient: so many other classes, each with a similarity of 0.
_NUM_OTHERS = 9
# Hand-crafted curves behind those of a searched loss.
_BEHIND_T, _BEHIND_TAU = ("arcface",), ("focal",)

_NOTE = (
    "The loss of a sample is −log τ(p), where p is the softmax with <i>t</i> on the own class’s similarity. Left: <i>t</i> "
    "(behind it plain softmax and ArcFace). Middle: τ (behind it plain softmax and focal loss). Right: the size of the gradient "
    "with respect to the own similarity, where nine other classes have the similarity 0 (behind it plain softmax). Hand-crafted "
    "losses are drawn as they are, and dashed as the nearest loss of the space."
)


def make_drawing(settings: AMLFSSettings) -> Drawing:
    """How the losses of the space are drawn."""
    form = PiecewiseForm(settings)
    thetas = {name: as_theta(fitted(member, settings.num_intervals)) for name, member in MEMBERS.items()}
    references = tuple(Reference(form.write(thetas[name]), f"{member.words}, for reference") for name, member in MEMBERS.items())

    def draw(space: Space, candidates: Sequence[Candidate]) -> tuple[list[tuple[Panel, ...]], list[tuple[Panel, ...]]]:
        (branch,) = space.branches
        sampled = _Sampled(settings)
        of_members = [_member_panels(sampled, member, np.array(thetas[name])) for name, member in MEMBERS.items()]
        return of_members, [_panels(sampled, np.array(candidate[branch.name])) for candidate in candidates]

    return Drawing(draw, references, _NOTE, most=8)


class _Sampled:
    """Curves of a loss at the points of the panels; one compilation for all losses."""

    def __init__(self, settings: AMLFSSettings):
        self.settings = settings
        self.similarity, self.probability = np.linspace(*T_DOMAIN, _NUM_POINTS), np.linspace(*TAU_DOMAIN, _NUM_POINTS)
        self._compiled = jax.jit(self._all)
        self.softmax = self(np.asarray(fitted(MEMBERS[SOFTMAX], settings.num_intervals)))

    def __call__(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """t, tau and the size of the gradient, `[K]` each."""
        return jax.device_get(self._compiled(jnp.asarray(theta, jnp.float32)))

    def _all(self, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        settings, x = self.settings, jnp.asarray(self.similarity, jnp.float32)

        def loss(x: jax.Array) -> jax.Array:
            to_own = settings.scale * curve_t(theta, x, settings)
            return -log_tau(theta, -jax.nn.softplus(jnp.log(float(_NUM_OTHERS)) - to_own), settings)

        # Of the logit, which the similarity is multiplied for.
        gradient = jnp.abs(jax.vmap(jax.grad(loss))(x)) / settings.scale
        tau = jnp.exp(log_tau(theta, jnp.log(jnp.asarray(self.probability, jnp.float32)), settings))
        return curve_t(theta, x, settings), tau, gradient


def _panels(sampled: _Sampled, theta: np.ndarray) -> tuple[Panel, ...]:
    t, tau, gradient = sampled(theta)
    behind_t = [sampled.similarity, *(MEMBERS[name].t(sampled.similarity) for name in _BEHIND_T)]
    behind_tau = [sampled.probability, *(MEMBERS[name].tau(sampled.probability) for name in _BEHIND_TAU)]
    return _three(
        sampled,
        [*_lines(behind_t, REFERENCE), Line(t, OWN)],
        [*_lines(behind_tau, REFERENCE), Line(tau, OWN)],
        [Line(sampled.softmax[2], REFERENCE), Line(gradient, OWN)],
    )


def _member_panels(sampled: _Sampled, member: Member, theta: np.ndarray) -> tuple[Panel, ...]:
    t, tau, gradient = sampled(theta)
    return _three(
        sampled,
        [Line(member.t(sampled.similarity), OWN), Line(t, OTHER)],
        [Line(member.tau(sampled.probability), OWN), Line(tau, OTHER)],
        [Line(sampled.softmax[2], REFERENCE), Line(gradient, OTHER)],
    )


def _three(sampled: _Sampled, t: list[Line], tau: list[Line], gradient: list[Line]) -> tuple[Panel, ...]:
    x, p, ends = sampled.similarity, sampled.probability, (-1.0, 0.0, 1.0)
    return (
        Panel("t", "t of {} by similarity", (("t", OWN), (" by similarity", "")), x, ends, tuple(t), zero_line=True),
        Panel("tau", "Tau of {} by probability", (("τ", OWN), (" by probability", "")), p, (0.0, 0.5, 1.0), tuple(tau)),
        Panel(
            "gradient",
            "Gradient of {} by similarity",
            (("gradient", OWN), (" by similarity", "")),
            x,
            (-1.0, 0.0, 1.0),
            tuple(gradient),
        ),
    )


def _lines(curves: Sequence[np.ndarray], role: str) -> list[Line]:
    return [Line(curve, role) for curve in curves]
