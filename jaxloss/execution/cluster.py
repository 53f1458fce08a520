"""The connection to a Ray cluster: one that is there, or one of this machine's own that ends with the process."""

import dataclasses
import importlib.util
import math
import os
import socket
from typing import Any

import jax

from jaxloss.core.errors import UserError

_PROBE_SECONDS = 5
_CLIENT = "ray://"
# What Ray counts, and how one unit of it is asked for.
_ACCELERATORS = {"GPU": {"num_gpus": 1}, "TPU": {"resources": {"TPU": 1}}}
_JAX_CACHE = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
      places: processes that find a device of their own there: its accelerators, or its cores where it has none.
      needs: what each of them asks Ray for, arguments of `.options`.
      is_own: whether it ends with `close`.
    """

    places: int
    needs: dict[str, Any]
    is_own: bool

    def close(self) -> None:
        """Ends the connection, and the cluster where this process has started it."""
        if self.is_own:
            import ray

            ray.shutdown()


def connect(address: str, places: int = 0) -> Cluster:
    """Connects to a cluster; within one process, calls after the first find the connection of the first.

    Args:
      address: `HOST:PORT` of the head of a cluster, `auto` for that which this machine belongs to, `ray://HOST:PORT` for one
        that is reached from outside, or empty for one of this machine alone, which is started.
      places: of a cluster that is started; 0: its accelerators, or its cores, at most 4.

    Raises:
      UserError: Ray is not installed, or the cluster cannot be reached.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError("executor=ray needs Ray, which is not installed: pip install jaxloss[ray]")
    import ray

    if is_own := not ray.is_initialized():
        _check_answers(address)
        where = {"address": address} if address else _local(places)
        try:
            ray.init(**where, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError) as error:
            why = (str(error).splitlines() or [""])[0]
            raise UserError(f"no connection to a Ray cluster at the address {address or 'local'}: {why}") from error
    resources = ray.cluster_resources()
    accelerator = next((name for name in _ACCELERATORS if resources.get(name, 0) >= 1), None)
    needs = {"num_cpus": 1, **_ACCELERATORS.get(accelerator, {})}
    found = math.floor(resources.get(accelerator or "CPU", 0))
    return Cluster(found, {**needs, "runtime_env": {"env_vars": _environment(accelerator)}}, is_own)


def _check_answers(address: str) -> None:
    """Ray itself looks for minutes for what is not there, and then ends the process."""
    if not address or address == "auto":
        return
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"the address of a Ray cluster is HOST:PORT, {_CLIENT}HOST:PORT or auto, not '{address}'")
    try:
        socket.create_connection((host, int(port)), _PROBE_SECONDS).close()
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(
            f"no Ray cluster answers at the address {address}: {why}; `ray status` says there whether it runs"
        ) from error


def _local(places: int) -> dict[str, Any]:
    """Arguments of `ray.init` for a cluster of this machine, of the devices that JAX has here."""
    # They do the work that this process would do: by default, Ray has its workers yield to all others of the machine.
    os.environ.setdefault("RAY_worker_niceness", str(os.nice(0)) if hasattr(os, "nice") else "0")
    on_gpu = jax.default_backend() == "gpu"
    num_gpus = min(places or math.inf, jax.local_device_count()) if on_gpu else 0
    num_cpus = max(places or min(4, os.cpu_count() or 1), num_gpus)
    return {"address": "local", "num_cpus": num_cpus, "num_gpus": num_gpus, "include_dashboard": False}


def _environment(accelerator: str | None) -> dict[str, str]:
    """Environment of a process: it shows one device, and takes memory as it needs it, beside whoever else is there."""
    found = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if accelerator else {"JAX_PLATFORMS": "cpu"}
    folder, least = (getattr(jax.config, name) for name in _JAX_CACHE)
    if folder:
        found |= {_JAX_CACHE[0].upper(): str(folder), _JAX_CACHE[1].upper(): str(least)}
        found["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    return found
