"""One loss of AM-LFS: piecewise-linear t and tau inside of a softmax (Eq. 16 and 17), as a vector theta of 4 M numbers.

C. Li et al.: AM-LFS: AutoML for Loss Function Search, ICCV 2019.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.form import Form, read_number, shortened, split_parts
from jaxloss.core.types import Array, LossInputs
from jaxloss.spaces.margin_softmax import margin_softmax
from jaxloss.systems.am_lfs.members import T_DOMAIN, TAU_DOMAIN
from jaxloss.systems.am_lfs.settings import CLAMP, COSINE, UPPER, AMLFSSettings

# Slopes and biases of t, then those of tau: the rows of theta.
ROWS = ("a_t", "b_t", "a_tau", "b_tau")

# Four rows of M numbers, each of which float32 holds exactly.
Theta = tuple[tuple[float, ...], ...]


def as_theta(numbers: np.ndarray) -> Theta:
    """Numbers `[4, M]`, or as many in a row, as an expression: rounded to float32."""
    rows = np.asarray(numbers, np.float32).reshape(len(ROWS), -1) + np.float32(0)
    return tuple(tuple(float(value) for value in row) for row in rows)


@dataclasses.dataclass(frozen=True)
class PiecewiseForm(Form):
    """`a_t: NUMBERS | b_t: NUMBERS | a_tau: NUMBERS | b_tau: NUMBERS`, M numbers each with commas between them.

    Attributes:
      settings: of the space.
    """

    settings: AMLFSSettings
    looks_across = False
    # Of another target there is no own class's probability.
    one_hot = True

    @property
    def inputs(self) -> tuple[str, ...]:
        """See `Form.inputs`."""
        return self.settings.similarity, "target"

    def parse(self, text: str, whose: str = "") -> Theta:
        """Raises UserError for another form, for another number of intervals, and for what is no finite number."""
        count = self.settings.num_intervals
        parts = split_parts(text, dict.fromkeys(ROWS, "NUMBERS"), f"a loss of piecewise-linear curves{whose}")
        rows = []
        for name in ROWS:
            try:
                # What overflows float32 is no number of a loss.
                with np.errstate(over="ignore"):
                    row = np.array([read_number(part) for part in parts[name].split(",")], np.float32)
            except ValueError:
                row = np.array([np.nan])
            if len(row) != count or not np.isfinite(row).all():
                given = shortened(parts[name])
                raise UserError(f"{name}{whose} must be {count} finite numbers with commas between them, not '{given}'")
            rows.append(row)
        return as_theta(np.stack(rows))

    def write(self, expression: Theta) -> str:
        """See `Form.write`; with as many digits as float32 needs."""
        return " | ".join(f"{name}: {', '.join(map(_digits, row))}" for name, row in zip(ROWS, expression, strict=True))

    def encode(self, expression: Theta) -> np.ndarray:
        """float32 `[4, M]`."""
        return np.asarray(expression, np.float32)

    def values(self, encoded: Array, inputs: LossInputs, axis_name: str | None = None) -> Array:
        """`-log tau(p)` of every sample, `[N, H, W, 1]`."""
        del axis_name  # nothing here looks across samples
        # Indexed by what is traced: constants of a compiled loss, too, have to be JAX's.
        encoded, settings, target = jnp.asarray(encoded), self.settings, inputs.arrays["target"]
        similarity = jnp.where(inputs.mask, inputs.arrays[settings.similarity], 0)
        x = similarity if settings.similarity == COSINE else similarity / settings.scale
        own = curve_t(encoded, x, settings)
        # At every position, of which the own class's is taken.
        return -log_tau(encoded, -margin_softmax(own, x, settings.scale, target), settings)


def curve_t(theta: Array, x: Array, settings: AMLFSSettings) -> Array:
    """`t(x)` of Eq. 17, for similarities of any shape.

    Args:
      theta: `[4, M]`.
      x: the similarity; its domain is [-1, 1].
      settings: what is outside, where borders belong, and the lowest slope.
    """
    if settings.outside == CLAMP:
        x = jnp.clip(x, *T_DOMAIN)
    slope, bias = _piece(theta[:2], x, T_DOMAIN, settings)
    return slope * x + bias


def log_tau(theta: Array, log_p: Array, settings: AMLFSSettings) -> Array:
    """`log tau(p)`, of the logarithm of the probability.

    A piece without a bias is computed as `log p + log a`: plain softmax stays exact where p itself is too small for float32.

    Args:
      theta: `[4, M]`.
      log_p: at most 0, of any shape.
      settings: what becomes of tau where it leaves (0, 1], where borders belong, and the lowest slope.
    """
    p = jnp.exp(log_p)
    slope, bias = _piece(theta[2:], p, TAU_DOMAIN, settings)
    through_zero = (bias == 0) & (slope > 0)
    exact = log_p + jnp.log(jnp.where(through_zero, slope, 1))
    floored = jnp.log(jnp.maximum(slope * p + bias, settings.tau_floor))
    found = jnp.where(through_zero, exact, floored)
    return jnp.minimum(found, 0) if settings.tau_ceiling == CLAMP else found


def _piece(lines: Array, x: Array, domain: tuple[float, float], settings: AMLFSSettings) -> tuple[Array, Array]:
    """Slope and bias of the interval that each point is in; beyond the ends, of the first and the last."""
    low, high = domain
    place = (x - low) * (settings.num_intervals / (high - low))
    below = jnp.floor(place) if settings.borders == UPPER else jnp.ceil(place) - 1
    index = jnp.clip(below, 0, settings.num_intervals - 1).astype(jnp.int32)
    return jnp.maximum(lines[0], settings.lowest_slope)[index], lines[1][index]


def _digits(value: float) -> str:
    return np.format_float_positional(np.float32(value), trim="-")
