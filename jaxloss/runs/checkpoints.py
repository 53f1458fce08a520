"""Pytrees on disk through orbax: networks, predictors, distributions.

A checkpoint `name` lives in `directory/name/<version>/`. A new version is complete before the old one goes, so a
process that is killed while it saves leaves the old one.
"""

import contextlib
import errno
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxloss.core.errors import UserError, unknown
from jaxloss.core.files import unwritable
from jaxloss.core.interrupts import interrupts_wait

if TYPE_CHECKING:
    import orbax.checkpoint

# What orbax says of a full disk, in a ValueError.
_FULL = os.strerror(errno.ENOSPC)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Checkpoints:
    """Named pytrees of arrays in a directory, which is made by the first `save`.

    To keep a checkpoint and the archive's search state together, save under a new name (`predictor_120`), commit the
    state that names it, and `remove` the one before: a kill between the three leaves a checkpoint too many, never one too few.
    """

    def __init__(self, directory: Path):
        self._directory = Path(directory).absolute()

    def names(self) -> list[str]:
        """The names of all complete checkpoints, sorted."""
        if not self._directory.is_dir():
            return []
        return sorted(folder.name for folder in self._directory.iterdir() if self._versions(folder.name))

    def save(self, name: str, tree: Any) -> None:
        """Saves a pytree under `name`, in place of an older one; it is on disk when this returns, or is interrupted by Ctrl-C.

        Arrays are stored without their device or sharding, random keys as their data, so that any machine can load them.

        Args:
          name: letters, digits, `_`, `.` and `-`.
          tree: a pytree with at least one leaf; leaves are arrays, typed random keys, or Python numbers.

        Raises:
          ValueError: the name has other characters, or the tree no leaves.
          UserError: the directory cannot be written.
        """
        import jax

        if not _NAME.fullmatch(name):
            raise ValueError(f"'{name}' is no name for a checkpoint: use letters, digits, '_', '.' and '-'")
        leaves = jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)
        folder = self._directory / name
        version = max(self._versions(name), default=0) + 1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with interrupts_wait(), _checkpointer() as checkpointer:
                checkpointer.save(folder / str(version), jax.device_get(leaves))
                checkpointer.wait_until_finished()
            # Older versions, and what a killed save left behind.
            for entry in folder.iterdir():
                if entry.name != str(version):
                    shutil.rmtree(entry)
        except (OSError, ValueError) as error:
            if not isinstance(error, OSError) and _FULL not in str(error):
                raise
            problem = error if isinstance(error, OSError) else OSError(errno.ENOSPC, _FULL)
            raise unwritable(f"cannot write checkpoint '{folder}'", problem, "use another --workdir") from error

    def load(self, name: str, like: Any = None) -> Any:
        """Loads the pytree that was saved under `name`.

        Args:
          name: one of `names()`.
          like: a pytree of the same structure, shapes and dtypes; its leaves are arrays or `jax.ShapeDtypeStruct`. Leaves come
            back on the device of the JAX array in their place, as NumPy arrays otherwise, and random keys as keys. Without
            it all arrays are NumPy's, tuples come back as lists, named tuples as dictionaries, random keys as their data.

        Raises:
          UserError: there is no such checkpoint, it is damaged, or it does not fit `like`; the message names the first leaf.
        """
        versions = self._versions(name)
        if not versions:
            raise unknown("checkpoint", name, self.names())
        try:
            with _checkpointer() as checkpointer:
                stored = checkpointer.restore(self._directory / name / str(max(versions)))
        # Orbax looks into its own files of JSON without asking of what kind they are.
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problem = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"checkpoint '{name}' in '{self._directory}' is damaged: {problem}") from error
        return stored if like is None else _fit(name, stored, like)

    def remove(self, name: str) -> None:
        """Removes the checkpoint `name`; does nothing where there is none."""
        if _NAME.fullmatch(name):
            shutil.rmtree(self._directory / name, ignore_errors=True)

    def remove_leftovers(self) -> None:
        """Removes what kills inside `save` and `remove` have left; nobody else may be saving.

        Raises:
          OSError: it cannot be removed.
        """
        for folder in self._directory.iterdir() if self._directory.is_dir() else ():
            if versions := self._versions(folder.name):
                for entry in folder.iterdir():
                    if entry.name != str(max(versions)):
                        shutil.rmtree(entry)
            elif _NAME.fullmatch(folder.name) and folder.is_dir():
                shutil.rmtree(folder)

    def _versions(self, name: str) -> list[int]:
        """The complete versions of a checkpoint: orbax gives a folder its plain name when all is written."""
        folder = self._directory / name
        if not _NAME.fullmatch(name) or not folder.is_dir():
            return []
        return [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()]


def _is_key(leaf: Any) -> bool:
    import jax

    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _fit(name: str, stored: Any, like: Any) -> Any:
    """Puts the stored leaves into the structure of `like`. Orbax would cast a wrong dtype without a word."""
    import jax
    from orbax.checkpoint.tree import to_flat_dict

    found, wanted = to_flat_dict(stored, sep="/"), to_flat_dict(like, sep="/")
    if different := sorted(found.keys() ^ wanted.keys()):
        place = "has" if different[0] in found else "lacks"
        raise UserError(f"checkpoint '{name}' does not fit: it {place} the leaf '{different[0]}'")
    leaves = []
    for path, leaf in wanted.items():
        value, form = found[path], jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
        if _form(value) != _form(form):
            raise UserError(f"checkpoint '{name}' does not fit: leaf '{path}' is {_form(value)}, not {_form(form)}")
        if _is_key(leaf):
            # An abstract key does not tell its implementation: a concrete one of its dtype does.
            value = jax.random.wrap_key_data(value, impl=jax.random.key_impl(jax.numpy.empty((), leaf.dtype)))
        leaves.append(jax.device_put(value, leaf.sharding) if isinstance(leaf, jax.Array) else value)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _form(leaf: Any) -> str:
    """`float32[3, 4]` of an array, `number` of a Python number."""
    return f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "dtype") else "number"


@contextlib.contextmanager
def _checkpointer() -> Iterator["orbax.checkpoint.StandardCheckpointer"]:
    """An orbax checkpointer that says nothing: what goes wrong is raised. Closed at the end."""
    # Imported here: it takes two seconds, and not every run has checkpoints.
    import orbax.checkpoint

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with orbax.checkpoint.StandardCheckpointer() as checkpointer:
            yield checkpointer
    finally:
        logger.setLevel(level)
