"""What the devices offer: how many there are, how much memory is free, and one call for all of them."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.core.host_memory import free_host_memory
from jaxloss.core.types import PyTree

# Of the free memory, what one population may take; the rest is for the data, the networks and a second worker.
SHARE_OF_MEMORY = 0.2

# To find the fastest of many kernels takes far longer than all else of a compilation on a GPU, and says nothing of the memory.
_UNTUNED = {"xla_gpu_autotune_level": 0}

# One name for all functions: to one with another name, an array that comes from the first would look like a new kind of
# argument, and it would be compiled again.
DEVICE_AXIS = "devices"


def check_devices() -> None:
    """Asks JAX for its devices, before anything is computed.

    Raises:
      UserError: there are none of the kind that JAX was told to use.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        # Where a plugin is installed and its hardware is absent, JAX fails by an assertion that says nothing.
        why = f" ({str(error).splitlines()[0].rstrip('. ')})" if str(error) else ""
        asked = jax.config.jax_platforms
        remedy = f"JAX_PLATFORMS={asked} asks for one that is not here; unset it, or set cpu" if asked else "see jax.devices()"
        raise UserError(f"JAX finds no device{why}: {remedy}") from error


def free_memory() -> int:
    """Bytes that are free now on one device; on the CPU, of the machine, see `free_host_memory`."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics["bytes_in_use"]
    return free_host_memory()


def memory_budget() -> int:
    """Bytes that the values of one population may take on one device: a share of what is free now."""
    return int(SHARE_OF_MEMORY * free_memory())


@contextlib.contextmanager
def float64_on_cpu() -> Iterator[None]:
    """Computes in float64, on the CPU, whatever the device: others may lack it."""
    try:
        on_cpu = jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:
        # JAX was told to do without the CPU: the default device has to do.
        on_cpu = contextlib.nullcontext()
    with jax.enable_x64(True), on_cpu:
        yield


def memory_needed(compiled: Callable[..., PyTree], *arguments: PyTree) -> int:
    """Bytes that one call takes on one device, its arguments and results included; found by compiling, nothing is run.

    Args:
      compiled: what `jax.jit` or `over_devices` gave.
      arguments: arrays, or their shapes (`jax.ShapeDtypeStruct`).
    """
    options = _UNTUNED if jax.default_backend() == "gpu" else None
    analysis = compiled.lower(*arguments).compile(compiler_options=options).memory_analysis()
    if analysis is None:
        return 0
    held = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return held + analysis.temp_size_in_bytes


def over_devices(
    function: Callable[..., PyTree], num_devices: int, across_processes: bool = False, **options
) -> Callable[..., PyTree]:
    """Compiles a function for arguments and results with a leading axis `[num_devices]`, one slice for each device.

    Args:
      function: pure, of the slices.
      num_devices: 1 is a plain `jit`, more is a `pmap`, in which `DEVICE_AXIS` names the devices.
      across_processes: whether `DEVICE_AXIS` runs over the devices of all processes that were started together, each of which
        calls this with slices for its own `num_devices`.
      options: of both, such as `donate_argnums`.
    """
    if across_processes:
        return jax.pmap(function, DEVICE_AXIS, **options)
    if num_devices > 1:
        # Arguments have to lie on the devices from the first call on, see `spread`: others would be compiled for once more.
        return jax.pmap(function, DEVICE_AXIS, devices=jax.local_devices()[:num_devices], **options)

    def on_one(*arguments: PyTree) -> PyTree:
        slices = jax.tree.map(lambda leaf: leaf[0], arguments)
        return jax.tree.map(lambda leaf: leaf[None], function(*slices))

    return jax.jit(on_one, **options)


def replicate(tree: PyTree, num_devices: int) -> PyTree:
    """The same arrays on every device, with a leading axis `[num_devices]`: an argument for `over_devices`."""
    if num_devices > 1:
        return _copies(num_devices)(np.arange(num_devices), tree)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)


@functools.cache
def _copies(num_devices: int) -> Callable[[PyTree], PyTree]:
    devices = jax.local_devices()[:num_devices]
    # At least one argument must have an axis; an unused one, here.
    return jax.pmap(lambda device, tree: tree, DEVICE_AXIS, in_axes=(0, None), devices=devices)


def slice_shapes(tree: PyTree) -> PyTree:
    """The shapes of one device's slice of arrays with a leading axis `[num_devices]`."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), tree)


def first_device(tree: PyTree) -> PyTree:
    """The slice of the first device, as arrays on that device alone."""
    return jax.tree.map(lambda leaf: jax.device_put(leaf[0], jax.local_devices()[0]), tree)


def spread(tree: PyTree, num_devices: int) -> PyTree:
    """Puts the slices of a leading axis `[num_devices]` on the devices, as the results of `over_devices` lie there."""
    if num_devices == 1:
        return tree
    return _identity(num_devices)(tree)


@functools.cache
def _identity(num_devices: int) -> Callable[[PyTree], PyTree]:
    return jax.pmap(lambda slices: slices, DEVICE_AXIS, devices=jax.local_devices()[:num_devices])
