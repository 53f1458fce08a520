"""What the Python modules of these losses share: the curves, and the softmax around them."""

from jaxloss.symbolic import one_hot_check
from jaxloss.systems.am_lfs.settings import CLAMP, COSINE, UPPER, AMLFSSettings

_HEAD = """
# What the similarity is multiplied with; a logit is divided by it first.
SCALE = {scale!r}
IS_COSINE = {is_cosine!r}
# t outside of [-1, 1]: kept at its ends, or its first and last piece go on.
CLAMP_OUTSIDE = {clamp_outside!r}
# A point between two intervals belongs to the upper one.
BORDERS_UP = {borders_up!r}
LOWEST_SLOPE = {lowest_slope!r}
TAU_FLOOR = {tau_floor!r}
# tau above 1 becomes 1.
CLAMP_TAU = {clamp_tau!r}
"""

CURVES = f'''

def _piece(lines, x, low, high):
    """Slope and bias [2, M] of the interval that each point is in."""
    count = lines.shape[1]
    place = (x - low) * (count / (high - low))
    below = jnp.floor(place) if BORDERS_UP else jnp.ceil(place) - 1
    index = jnp.clip(below, 0, count - 1).astype(jnp.int32)
    return jnp.take(jnp.maximum(lines[0], LOWEST_SLOPE), index), jnp.take(lines[1], index)


def piecewise_t(theta, x):
    """t(x), with slopes theta[0] and biases theta[1] on equal intervals of [-1, 1]."""
    x = jnp.clip(x, -1, 1) if CLAMP_OUTSIDE else x
    slope, bias = _piece(theta[:2], x, -1.0, 1.0)
    return slope * x + bias


def piecewise_log_tau(theta, log_p):
    """log(tau(p)), with slopes theta[2] and biases theta[3] on equal intervals of [0, 1]."""
    p = jnp.exp(log_p)
    slope, bias = _piece(theta[2:], p, 0.0, 1.0)
    through_zero = (bias == 0) & (slope > 0)
    exact = log_p + jnp.log(jnp.where(through_zero, slope, 1))
    found = jnp.where(through_zero, exact, jnp.log(jnp.maximum(slope * p + bias, TAU_FLOOR)))
    return jnp.minimum(found, 0) if CLAMP_TAU else found

{one_hot_check.CHECK}
def values_of(theta, similarity, target):
    """-log(tau(p)) of every sample, [N]; p is the softmax with t on the own class."""
{one_hot_check.CALL}    own = target > 0.5
    x = similarity if IS_COSINE else similarity / SCALE
    to_own = jax.nn.logsumexp(jnp.where(own, -SCALE * piecewise_t(theta, x), -jnp.inf), axis=-1)
    to_other = jax.nn.logsumexp(jnp.where(own, -jnp.inf, SCALE * x), axis=-1)
    return -piecewise_log_tau(theta, -jax.nn.softplus(to_own + to_other))

'''


def head(settings: AMLFSSettings) -> str:
    """The settings as constants."""
    return _HEAD.format(
        scale=float(settings.scale),
        is_cosine=settings.similarity == COSINE,
        clamp_outside=settings.outside == CLAMP,
        borders_up=settings.borders == UPPER,
        lowest_slope=float(settings.lowest_slope),
        tau_floor=float(settings.tau_floor),
        clamp_tau=settings.tau_ceiling == CLAMP,
    )
