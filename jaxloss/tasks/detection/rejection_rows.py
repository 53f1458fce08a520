"""Which training images the rejection protocol of a task of boxes looks at: a few with objects, at random."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree
from jaxloss.tasks.base import num_examples
from jaxloss.tasks.data.boxes.source import CROWD, VALID
from jaxloss.tasks.data.stream import resident_arrays


def with_objects(examples: PyTree, num_samples: int) -> Array:
    """Which images have an object that is no crowd, bool `[N]`.

    Args:
      examples: the training split, on the device or streamed.
      num_samples: how many of them are needed.

    Raises:
      UserError: there are not so many.
    """
    known = resident_arrays(examples)
    found = jnp.any(known[VALID] & ~known[CROWD], axis=1)
    # Under a trace, which asks for shapes alone, nobody knows.
    total = num_examples(examples) if isinstance(found, jax.core.Tracer) else int(np.sum(found))
    if not 0 < num_samples <= total:
        raise UserError(f"filters.rejection.num_samples is {num_samples}, but there are {total} training images with objects")
    return found


@functools.partial(jax.jit, static_argnames="num_samples")
def choose_rows(has_object: Array, key: Array, num_samples: int) -> Array:
    """Random rows of images with objects, int `[num_samples]`; `has_object` is bool `[N]`."""
    order = jax.random.permutation(key, len(has_object))
    return order[jnp.argsort(~has_object[order], stable=True)][:num_samples]
