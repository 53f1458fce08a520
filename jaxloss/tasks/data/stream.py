"""Training examples that stay in memory or on disk, and come to the device batch by batch, ahead of the steps that need them."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.core.abstract import differences, named_errors, shapes, written
from jaxloss.core.errors import UserError
from jaxloss.core.types import Array, PyTree

TRAINING_DATA = DEVICE, STREAMED = ("device", "streamed")
_SOURCE = "the source of the streamed rows"


class RowSource(Protocol):
    """Examples by number. One that can read many at a time has `__getitems__` too: `(rows) -> dict of arrays [n, ...]`."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, row: int) -> Mapping[str, np.ndarray]:
        """The arrays of one example; the same names, shapes and dtypes for all. Called from several threads."""


class ArrayRows:
    """Rows of arrays `[N, ...]`, in memory or mapped from files."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        """Raises a UserError where the arrays disagree about the number of examples."""
        self._arrays = dict(arrays)
        lengths = {name: len(array) for name, array in self._arrays.items()}
        if len(set(lengths.values())) != 1:
            raise UserError(f"arrays that are streamed together need the same number of rows, and have {lengths}")
        self._length = next(iter(lengths.values()))

    @classmethod
    def from_npy_files(cls, paths: Mapping[str, str | Path]) -> "ArrayRows":
        """Name -> `.npy` file, which is mapped: only rows that are asked for are read.

        Raises:
          UserError: a file is absent or no array, or they have different lengths.
        """
        arrays = {}
        for name, path in paths.items():
            try:
                arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise UserError(f"cannot read '{path}' as an array of training data: {error}") from error
        return cls(arrays)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        return {name: np.asarray(array[row]) for name, array in self._arrays.items()}

    def __getitems__(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        return {name: array[np.asarray(rows)] for name, array in self._arrays.items()}


class RowsWithConstants:
    """Rows of another source with arrays beside them that are the same in each: a `RowSource`."""

    def __init__(self, source: RowSource, constants: Mapping[str, np.ndarray]):
        """`constants` are the arrays of one row."""
        self._source, self._constants = source, dict(constants)
        if hasattr(source, "__getitems__"):
            self.__getitems__ = self._many

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        return {**self._source[row], **self._constants}

    def _many(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        repeated = {name: np.broadcast_to(array, (len(rows), *array.shape)) for name, array in self._constants.items()}
        return {**self._source.__getitems__(rows), **repeated}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class StreamedRows:
    """A training split that does not lie on the device; use `create`.

    As a pytree it is its resident arrays, so that what asks for the number of examples, or puts a split on devices, sees these.

    Attributes:
      resident: small arrays `[N, ...]` that do lie there: `row`, the numbers of the examples, and those that `Task.order` reads.
      source: where rows are read.
      num_threads: that read ahead; 0 reads as the batches are needed.
      prefetch: batches that are read ahead, `num_threads` at least.
    """

    resident: Mapping[str, Array]
    source: RowSource = dataclasses.field(metadata={"static": True})
    num_threads: int = dataclasses.field(default=2, metadata={"static": True})
    prefetch: int = dataclasses.field(default=4, metadata={"static": True})

    @classmethod
    def create(
        cls, source: RowSource, resident: Mapping[str, np.ndarray] | None = None, num_threads: int = 2, prefetch: int = 4
    ) -> "StreamedRows":
        """See the attributes; the array `row` is added."""
        resident = {name: jnp.asarray(array) for name, array in (resident or {}).items()}
        return cls({"row": jnp.arange(len(source), dtype=jnp.int32), **resident}, source, num_threads, prefetch)

    @functools.cached_property
    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """All examples as one pytree of arrays `[N, ...]`, as shapes."""
        first = self.read(np.zeros(1, np.int32))
        return {name: jax.ShapeDtypeStruct((len(self.source), *array.shape[1:]), array.dtype) for name, array in first.items()}

    def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Rows `int [n]` as arrays `[n, ...]`, of the dtypes that they would have on the device.

        Raises:
          UserError: for whatever the source raises, and for rows of different arrays.
        """
        with named_errors(_SOURCE):
            if hasattr(self.source, "__getitems__"):
                arrays = self.source.__getitems__(rows)
            else:
                arrays = _stacked(rows, [self.source[int(row)] for row in rows])
            return {name: np.asarray(array, jax.dtypes.canonicalize_dtype(array.dtype)) for name, array in arrays.items()}

    @contextlib.contextmanager
    def batches(self, rows: np.ndarray) -> Iterator[Iterator[dict[str, np.ndarray]]]:
        """An iterator over batches, which are read ahead of it; reading ends with the context.

        Args:
          rows: int `[S, B]`, those of each batch.
        """
        # Imported here: it takes a second, and most trainings have their data on the device.
        import grain

        options = grain.ReadOptions(num_threads=self.num_threads, prefetch_buffer_size=self.prefetch)
        iterator = iter(grain.MapDataset.source(_Batches(self, rows, self.shapes)).to_iter_dataset(options))
        try:
            yield _as_raised(iterator)
        finally:
            iterator.close()


def _as_raised(iterator: Iterator[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    try:
        yield from iterator
    except UserError as error:
        # grain adds lines of its own.
        raise UserError(str(error).partition("\n")[0]) from error


def _stacked(rows: np.ndarray, found: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    for one in found:
        if not isinstance(one, Mapping):
            raise UserError(f"{_SOURCE} must give {{name: array}} for every row, not {written(one)}")
    try:
        return {name: np.stack([one[name] for one in found], dtype=found[0][name].dtype, casting="no") for name in found[0]}
    except (KeyError, TypeError, ValueError):
        # Looked for only now: a comparison of every row would take longer than to read it.
        for row, one in zip(rows, found, strict=True):
            for path, expected, came in differences(dict(found[0]), dict(one)):
                raise UserError(
                    f"{_SOURCE} must give the same arrays for all: {expected} as {path} was expected of row {row}, {came} came"
                ) from None
        raise


@dataclasses.dataclass(frozen=True)
class _Batches:
    """Batches by number, for grain."""

    examples: StreamedRows
    rows: np.ndarray
    shapes: Mapping[str, jax.ShapeDtypeStruct]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        rows = self.rows[number]
        expected = {name: jax.ShapeDtypeStruct((len(rows), *one.shape[1:]), one.dtype) for name, one in self.shapes.items()}
        batch = self.examples.read(rows)
        for path, wanted, came in differences(expected, batch):
            raise UserError(
                f"{_SOURCE} must give the same arrays for all: {wanted} as {path} was expected of a batch, {came} came"
            )
        return batch


def is_streamed(data: Mapping[str, PyTree], split: str = "train") -> bool:
    """Whether the training split is read batch by batch."""
    return isinstance(data.get(split), StreamedRows)


def resident_arrays(train: PyTree) -> PyTree:
    """What of a training split lies on the device: all of it, unless it is streamed."""
    return train.resident if isinstance(train, StreamedRows) else train


def example_shapes(examples: PyTree) -> PyTree:
    """The examples of a split as shapes `[N, ...]`, wherever it lies."""
    if isinstance(examples, StreamedRows):
        return examples.shapes
    return shapes(examples)


def take_rows(examples: PyTree, rows: Array) -> PyTree:
    """Some examples of a split, wherever it lies: arrays `[n, ...]` for rows `int [n]`."""
    if isinstance(examples, StreamedRows):
        return jax.tree.map(jnp.asarray, examples.read(np.asarray(rows)))
    return jax.tree.map(lambda leaf: leaf[rows], examples)


def place_split(arrays: Mapping[str, np.ndarray], streamed: bool, resident: Sequence[str] = ()) -> PyTree:
    """A split for `Task.data`: its arrays on the device, or streamed from memory but for those named as resident."""
    if streamed:
        return StreamedRows.create(ArrayRows(arrays), {name: arrays[name] for name in resident})
    return {name: jnp.asarray(array) for name, array in arrays.items()}
