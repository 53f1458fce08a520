"""What all benchmarks share: their problems and formulas, clocks, facts about the machine, and how results are written."""

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxloss.core.errors import UserError
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.runs import atomic
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.metrics.classification import correct

SPACE = autoloss_zero()
(BRANCH,) = SPACE.branches
_WIDTH = 116


def facts() -> dict[str, str]:
    """Where and with what a benchmark ran: `{'device', 'jax', 'commit', 'command'}`."""
    device = jax.devices()[0]
    return {
        "device": f"{_num_cores()} CPU cores" if device.platform == "cpu" else device.device_kind,
        "jax": jax.__version__,
        "commit": _COMMIT,
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
    }


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _commit() -> str:
    """The commit of the code that runs; `unknown` outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


# Asked for at the start: a long benchmark may outlive the commit.
_COMMIT = _commit()


def write_json(path: str | os.PathLike, results: dict[str, Any]) -> None:
    """Writes the results of a benchmark; the file is there whole or not at all.

    Raises:
      UserError: the file cannot be written.
    """
    try:
        atomic.write_json(path, results)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def output_path(text: str) -> Path:
    """An argparse type: a file that can be written once the benchmark is done; to find out then would be a pity."""
    path = Path(text)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(
            f"cannot write the file {text}: its folder is absent or closed, or it is a folder itself"
        )
    return path


def numbers(text: str, separator: str = ",") -> tuple[int, ...]:
    """An argparse type: whole numbers above zero, such as `16,64`."""
    parts = text.split(separator)
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of whole numbers above 0 with '{separator}' between them")
    return tuple(int(part) for part in parts)


def positive(text: str) -> int:
    """An argparse type: a whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def whole(text: str) -> int:
    """An argparse type: zero or a whole number above it."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    return int(text)


def random_problem(samples: int, height: int, width: int, classes: int, seed: int) -> RejectionProblem:
    """A classification of every position, with softmax predictions and labels drawn from a seed.

    Args:
      samples: `B`.
      height: `H`, 1 where there is no space.
      width: `W`.
      classes: `C`.
      seed: of predictions and labels.

    Returns:
      Predictions `[B, H, W, C]` in `start`, one-hot targets and labels in `context`; the metric is the share of the positions
      of a sample at which the largest prediction is that of the label.
    """
    generator = np.random.default_rng(seed)
    logits = generator.standard_normal((samples, height, width, classes)).astype(np.float32)
    labels = generator.integers(classes, size=(samples, height, width))
    start = jax.nn.softmax(jnp.asarray(logits))
    context = {"target": jax.nn.one_hot(labels, classes, dtype=start.dtype), "label": jnp.asarray(labels)}

    def inputs(value: Array, context: PyTree) -> LossInputs:
        return LossInputs.create({"prediction": value, "target": context["target"]})

    def metric(value: Array, context: PyTree) -> Array:
        return jnp.mean(correct(value, context["label"]).astype(jnp.float32))

    return RejectionProblem(start=start, context=context, inputs=inputs, metric=metric)


def random_formulas(count: int, seed: int, seen: set[str] | None = None, needed: Sequence[str] = ()) -> list[str]:
    """Random trees of AutoLoss-Zero's space, three operators deep, in text form.

    Args:
      count: how many.
      seed: of the draws; a longer list begins with the shorter one.
      seen: keys of formulas that are not to be drawn; those that are drawn are added. None draws with repetitions, as a
        search does.
      needed: inputs that every formula has to read, such as `prediction` and `target`.
    """
    generator = np.random.default_rng(seed)
    formulas: list[str] = []
    while len(formulas) < count:
        graph = SPACE.sample(generator, BRANCH)
        if not set(needed) <= graph.input_names:
            continue
        if seen is not None:
            key = graph.key(BRANCH.form.layout.operators)
            if key in seen:
                continue
            seen.add(key)
        formulas.append(str(graph))
    return formulas


def timed(function: Callable[[], PyTree]) -> tuple[PyTree, float]:
    """The result, once it is there, and the seconds that it took."""
    begin = time.perf_counter()
    result = jax.block_until_ready(function())
    return result, time.perf_counter() - begin


def best_seconds(function: Callable[[], PyTree], repetitions: int, least_seconds: float = 0.0) -> float:
    """The shortest of several runs: what others do on the machine only ever adds to it.

    Args:
      function: is called without arguments; its result is waited for.
      repetitions: the least number of runs.
      least_seconds: short functions are run until so much time has passed.
    """
    seconds: list[float] = []
    while len(seconds) < repetitions or sum(seconds) < least_seconds:
        seconds.append(timed(function)[1])
    return min(seconds)


def power(sizes: Sequence[float], seconds: Sequence[float]) -> float | None:
    """The power of the size in which the seconds grow: the slope of a line through their logarithms; None for one point."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]) if len(sizes) > 1 else None


@contextlib.contextmanager
def without_compilation_cache() -> Iterator[None]:
    """Compilations are real ones, whatever a cache on disk holds."""
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table; columns are named as in the JSON, floats have three significant digits, None is a dash."""
    table = Table(*(column.replace("_", " ") for column in columns), title=title)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console = Console()
    # Files and pipes have no width of their own.
    (console if console.is_terminal else Console(width=_WIDTH)).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def run(main: Callable[[], None]) -> None:
    """Calls the main function of a benchmark; a mistake of the user ends it in one line, with exit code 2."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
