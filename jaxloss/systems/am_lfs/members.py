"""Hand-crafted losses as curves t and tau of Eq. 16, the piecewise-linear ones that are nearest, and how near they are.

    L = -log tau(p),   p = e^{s t(x_y)} / (e^{s t(x_y)} + sum_{j != y} e^{s x_j})

A margin is a curve t over the similarity, [-1, 1]; the focal loss a curve tau over the probability, [0, 1]: by
`tau(p) = e^{tau_1(log p)}` (below Eq. 16) the `tau_1(x) = x (1 - e^x)^alpha` of Eq. 6 is `p^((1 - p)^alpha)`.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

Curve = Callable[[np.ndarray], np.ndarray]

T_DOMAIN, TAU_DOMAIN = (-1.0, 1.0), (0.0, 1.0)
SOFTMAX = "softmax"
# Points of an interval that a line is fitted to.
_NUM_POINTS = 200
# Beyond these digits of a fit, least squares rounds; a line through 0 is to go through it exactly.
_DIGITS = 6


def _identity(x: np.ndarray) -> np.ndarray:
    return x


def _cosface(x: np.ndarray, margin: float = 0.35) -> np.ndarray:
    # Table 1 calls it A-softmax, with the wrong sign.
    return x - margin


def _arcface(x: np.ndarray, margin: float = 0.5) -> np.ndarray:
    """`cos(theta + m)`; beyond `pi - m`, where that would rise again, a straight line, as in the published code."""
    return np.where(x > -np.cos(margin), np.cos(np.arccos(np.clip(x, -1, 1)) + margin), x - margin * np.sin(margin))


def _multiplied_angle(x: np.ndarray, margin: float = 1.35) -> np.ndarray:
    """`cos(m theta)`, continued so that it falls over the whole range (Liu et al., ICML 2016, Eq. 6)."""
    turned = margin * np.arccos(np.clip(x, -1, 1))
    piece = np.floor(turned / np.pi)
    return (1 - 2 * (piece % 2)) * np.cos(turned) - 2 * piece


def _focal(p: np.ndarray, alpha: float = 2.0) -> np.ndarray:
    return p ** ((1 - p) ** alpha)


@dataclasses.dataclass(frozen=True)
class Member:
    """A hand-crafted loss.

    Attributes:
      name: of the loss.
      words: for people, with its numbers.
      t: over the similarity.
      tau: over the probability.
    """

    name: str
    words: str
    t: Curve = _identity
    tau: Curve = _identity


MEMBERS: Mapping[str, Member] = {
    one.name: one
    for one in (
        Member(SOFTMAX, "plain softmax"),
        Member("cosface", "CosFace, m = 0.35", t=_cosface),
        Member("arcface", "ArcFace, m = 0.5", t=_arcface),
        Member("l_softmax", "L-softmax, m = 1.35", t=_multiplied_angle),
        Member("focal", "focal loss, α = 2", tau=_focal),
    )
}


def fitted(member: Member, num_intervals: int) -> np.ndarray:
    """The piecewise-linear curves nearest to a loss, `[4, M]`: slopes and biases of t, slopes and biases of tau.

    Least squares in each interval by itself, of t as it is, and of tau relative to its value: the loss is its logarithm.
    """
    return np.concatenate(
        [
            _lines(member.t, T_DOMAIN, num_intervals, lambda values: np.ones_like(values)),
            _lines(member.tau, TAU_DOMAIN, num_intervals, lambda values: 1 / values),
        ]
    )


def approximation_error(member: Member, theta: np.ndarray) -> dict[str, float]:
    """How far curves `[4, M]` are from those of a loss, at points spread over all intervals.

    Returns:
      `t` and `t_mean`: the largest difference of t, and the root of the mean square; `log_tau` and `log_tau_mean`: of
      log(tau), which is the loss itself; infinite where tau is not above 0.
    """
    errors = {}
    for name, curve, domain, lines, seen in (
        ("t", member.t, T_DOMAIN, theta[:2], lambda values: values),
        ("log_tau", member.tau, TAU_DOMAIN, theta[2:], lambda values: np.log(np.where(values > 0, values, 0.0))),
    ):
        points = _points(domain, theta.shape[1])
        with np.errstate(divide="ignore"):
            difference = np.abs(seen(lines[0][:, None] * points + lines[1][:, None]) - seen(curve(points)))
        errors |= {name: float(difference.max()), f"{name}_mean": float(np.sqrt(np.mean(difference**2)))}
    return errors


def _points(domain: tuple[float, float], num_intervals: int) -> np.ndarray:
    """Middles of equal parts of every interval, `[M, K]`: no border, which belongs to two."""
    low, high = domain
    places = (np.arange(num_intervals * _NUM_POINTS) + 0.5) / (num_intervals * _NUM_POINTS)
    return (low + (high - low) * places).reshape(num_intervals, _NUM_POINTS)


def _lines(curve: Curve, domain: tuple[float, float], num_intervals: int, weights: Curve) -> np.ndarray:
    """Slopes and biases `[2, M]`."""
    points = _points(domain, num_intervals)
    values = curve(points)
    lines = [np.polyfit(x, y, 1, w=weights(y)) for x, y in zip(points, values, strict=True)]
    return np.round(np.transpose(lines), _DIGITS) + 0.0
