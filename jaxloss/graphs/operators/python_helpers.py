"""Functions that an exported Python file carries along where one expression does not do, as source text.

Helpers that one operator set alone needs stand beside that set.
"""

SIGMOID = '''
def _sigmoid(x):
    """1 / (1 + exp(-x)) without overflow."""
    return jnp.exp(-jnp.logaddexp(0, -x))
'''

RELU = '''
def _relu(x):
    """max(x, 0) with slope 0 at 0."""
    return jnp.where(x <= 0, 0, x)
'''

GUDERMANNIAN = '''
def _gudermannian(x):
    """An S-curve between -pi/2 and pi/2."""
    return 2 * jnp.arctan(jnp.tanh(x / 2))
'''

ALGEBRAIC = '''
def _algebraic(x):
    """An S-curve between -1 and 1."""
    return x / jnp.sqrt(1 + x * x)
'''

MEAN_C = '''
def _mean_c(x):
    """Mean over the channels, at every channel."""
    return jnp.broadcast_to(jnp.mean(x, axis=-1, keepdims=True), x.shape)
'''

MEAN_NHW = '''
def _mean_nhw(x, mask):
    """Mean over the valid positions, per channel, at every position."""
    count = jnp.sum(mask.astype(x.dtype))
    total = jnp.sum(jnp.where(mask, x, 0), axis=(0, 1, 2), keepdims=True)
    return jnp.broadcast_to(total / jnp.maximum(count, 1), x.shape)
'''

MAX_POOLING = '''
def _max_pooling(x, mask):
    """Maximum over the valid part of each 3x3 window; ties share the gradient evenly; 0 where a window is void."""
    height, width = x.shape[1:3]
    if height == width == 1:
        return jnp.where(mask, x, 0)

    def windows(array, fill):
        padded = jnp.pad(array, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
        return jnp.stack([padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)])

    largest = jnp.max(windows(jnp.where(mask, x, -jnp.inf), -jnp.inf), axis=0)
    return jnp.where(jnp.any(windows(mask, False), axis=0), largest, 0)
'''

# In the order in which they stand in an exported file.
SHARED = (SIGMOID, RELU, GUDERMANNIAN, ALGEBRAIC, MEAN_C, MEAN_NHW, MAX_POOLING)
