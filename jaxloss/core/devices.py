"""What the devices offer: how many there are, how much memory is free, and one call for all of them."""

import os
from collections.abc import Callable

import jax

from jaxloss.core.types import PyTree

# Of the free memory, what one population may take; the rest is for the data, the networks and a second worker.
SHARE_OF_MEMORY = 0.2


def memory_budget() -> int:
    """Bytes that the values of one population may take on one device: a share of what is free now."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return int(SHARE_OF_MEMORY * (statistics["bytes_limit"] - statistics["bytes_in_use"]))
    return int(SHARE_OF_MEMORY * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def over_devices(function: Callable[..., PyTree], num_devices: int, **options) -> Callable[..., PyTree]:
    """Compiles a function for arguments and results with a leading axis `[num_devices]`, one slice for each device.

    Args:
      function: pure, of the slices.
      num_devices: 1 is a plain `jit`, more is a `pmap`.
      options: of both, such as `donate_argnums`.
    """
    if num_devices > 1:
        # Arguments have to lie on the devices from the first call on, see `spread`: others would be compiled for once more.
        return jax.pmap(function, devices=jax.local_devices()[:num_devices], **options)

    def on_one(*arguments: PyTree) -> PyTree:
        slices = jax.tree.map(lambda leaf: leaf[0], arguments)
        return jax.tree.map(lambda leaf: leaf[None], function(*slices))

    return jax.jit(on_one, **options)


def spread(tree: PyTree, num_devices: int) -> PyTree:
    """Puts the slices of a leading axis `[num_devices]` on the devices, as the results of `over_devices` lie there."""
    if num_devices == 1:
        return tree
    return jax.pmap(lambda slices: slices, devices=jax.local_devices()[:num_devices])(tree)
