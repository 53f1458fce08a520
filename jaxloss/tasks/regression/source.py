"""Inputs with the numbers that are to be predicted: the diabetes data of scikit-learn, or a NumPy archive."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from jaxloss.core.errors import UserError, unknown
from jaxloss.tasks.data.locate import find_file
from jaxloss.tasks.data.npz import open_archive


@dataclasses.dataclass(frozen=True)
class Measured:
    """Examples with one number or several each.

    Attributes:
      inputs: float32 `[M, ...]`, features `[M, D]` or images `[M, H, W, channels]`; images of uint8 are so still.
      targets: float32 `[M, K]`.
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: np.ndarray) -> "Measured":
        """The examples at `rows`, in that order."""
        return Measured(self.inputs[rows], self.targets[rows])

    def in_memory(self) -> "Measured":
        """The same."""
        return self


@dataclasses.dataclass(frozen=True)
class MeasuredSource:
    """A data set as it was published.

    Attributes:
      name: for reports.
      train: what may be trained on, or everything where the source has no division of its own.
      test: the source's own test set, or None.
    """

    name: str
    train: Measured
    test: Measured | None


def measured(inputs: np.ndarray, targets: np.ndarray, origin: str) -> Measured:
    """Brings arrays into the form of `Measured`; one number for each example may come without the last axis.

    Args:
      inputs: numbers `[M, ...]`.
      targets: numbers `[M]` or `[M, K]`.
      origin: where the arrays come from, for the error line.

    Raises:
      UserError: for other shapes or types, for numbers that are not finite as float32, or where there are not as many of both.
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    for what, array, ranks in (("inputs", inputs, (2, 3, 4)), ("targets", targets, (1, 2))):
        if array.ndim not in ranks or not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
            wanted = "[M, D], [M, H, W] or [M, H, W, C]" if what == "inputs" else "[M] or [M, K]"
            raise UserError(f"{origin}: {what} must be numbers {wanted}, not {array.dtype} {list(array.shape)}")
        # What is too large for float32 becomes infinite there.
        with np.errstate(over="ignore"):
            broken = np.flatnonzero(~np.isfinite(array.astype(np.float32).reshape(len(array), -1)).all(axis=1))
        if len(broken):
            raise UserError(
                f"{origin}: {len(broken)} of the {what} hold NaN, infinity or more than float32 does, the first is number "
                f"{broken[0]}"
            )
    if len(inputs) != len(targets) or not len(inputs):
        raise UserError(f"{origin}: {len(inputs)} inputs and {len(targets)} targets; as many of both were expected, one at least")
    targets = targets.reshape(len(targets), -1).astype(np.float32)
    return Measured(inputs if inputs.dtype == np.uint8 else inputs.astype(np.float32), targets)


def make_measured_source(name: str, train: Measured, test: Measured | None) -> MeasuredSource:
    """Joins both parts.

    Raises:
      UserError: a test set has inputs or targets of another shape or type, or a target is the same for all of train.
    """
    if len(constant := np.flatnonzero(np.ptp(train.targets, axis=0) == 0)):
        value = train.targets[0, constant[0]]
        raise UserError(f"{name}: target {constant[0]} is {value:g} for all examples of train: there is nothing to predict")
    for what in ("inputs", "targets") if test is not None else ():
        kinds = [f"{one.dtype} {list(one.shape[1:])}" for one in (getattr(train, what), getattr(test, what))]
        if kinds[0] != kinds[1]:
            raise UserError(f"{name}: {what} of train are {kinds[0]}, those of test {kinds[1]}")
    if len(train) > 1 and (np.ptp(train.targets, axis=0) == 0).any():
        column = int(np.argmin(np.ptp(train.targets, axis=0)))
        raise UserError(f"{name}: all targets of train are {train.targets[0, column]:g}; there is nothing to learn")
    return MeasuredSource(name, train, test)


def load_diabetes(rest: str = "", data_dir: str | None = None) -> MeasuredSource:
    """442 patients, ten features, and how far their diabetes went on within a year; without a test set of its own.

    References:
      B. Efron et al.: Least Angle Regression, Annals of Statistics 2004.
    """
    del rest, data_dir
    import sklearn.datasets  # slow to import, and only this source needs it

    bunch = sklearn.datasets.load_diabetes()
    return make_measured_source("diabetes", measured(bunch.data, bunch.target, "diabetes"), None)


def load_npz(rest: str, data_dir: str | None = None) -> MeasuredSource:
    """Reads `train_inputs`, `train_targets` and, where there, `test_inputs`, `test_targets`.

    Args:
      rest: the file; absolute, relative to the working folder, or to be found by `find_file`.
      data_dir: a folder to look in.

    Raises:
      UserError: for a file that is absent, damaged, or lacks one of these.
    """
    path = find_file(rest, data_dir)
    with open_archive(path) as archive:
        arrays = {key: archive[key] for key in archive.files if key.startswith(("train_", "test_"))}
    has_test = any(key.startswith("test_") for key in arrays)
    expected = ["train_inputs", "train_targets"] + ["test_inputs", "test_targets"] * has_test
    if missing := [key for key in expected if key not in arrays]:
        raise UserError(
            f"data file {path} lacks {', '.join(missing)}. Expected keys: train_inputs, train_targets, and if it has a test set "
            "test_inputs, test_targets"
        )
    train, *test = (
        measured(arrays[f"{part}_inputs"], arrays[f"{part}_targets"], f"{path} ({part})")
        for part in (["train", "test"] if has_test else ["train"])
    )
    return make_measured_source(path.stem, train, test[0] if test else None)


# How the source is written -> `(what stands behind the colon, data_dir) -> source`.
SOURCES: Mapping[str, Callable[[str, str | None], MeasuredSource]] = {"diabetes": load_diabetes, "npz:FILE": load_npz}


def load_measured(name: str, data_dir: str | None = None) -> MeasuredSource:
    """Loads inputs and targets by name.

    Raises:
      UserError: for an unknown name, and for data that are absent or broken.
    """
    scheme, _, rest = str(name).partition(":")
    forms = {form.partition(":")[0]: form for form in SOURCES}
    if scheme not in forms:
        raise unknown("data source", name, SOURCES)
    if bool(rest) != (":" in forms[scheme]):
        raise UserError(f"data source '{name}' should read '{forms[scheme]}'")
    return SOURCES[forms[scheme]](rest, data_dir)
