"""Compiled programs are kept on disk, so that the second run of a config starts at once."""

import os
from pathlib import Path

import jax

from jaxloss.core.errors import UserError

AUTO = "auto"
# Shorter compilations are not worth a file, unless the user's environment says otherwise.
LEAST_SECONDS = 0.2
LEAST_SECONDS_VARIABLE = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"


def use_compilation_cache(folder: str) -> None:
    """Tells JAX where to keep compiled programs; affects the whole process.

    Args:
      folder: a path, `auto` for `jaxloss` in the user's cache folder, or empty for none.

    Raises:
      UserError: the folder cannot be made.
    """
    if not folder:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    path = (home / "jaxloss" if folder == AUTO else Path(folder)).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the folder {path} for compiled programs: {error.strerror}. Name another with "
            "--config.compilation_cache=FOLDER, or none with --config.compilation_cache="
        ) from error
    jax.config.update("jax_compilation_cache_dir", str(path))
    if LEAST_SECONDS_VARIABLE not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
