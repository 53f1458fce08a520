"""Candidates trained per hour: one after the other, many in one step, and on several devices.

    python -m experiments.benchmarks.population --json population.json

Random candidates of AutoLoss-Zero's space train the quickstart's network (scikit-learn's digits), the small CNN with both kinds
of convolution, and ResNet-20, the latter three at 32x32. A number of steps is timed and extrapolated to a training of a stated
length; scores are not counted in. Populations grow up to a bound; on an accelerator they stop where the next one would not
fit, found by compiling it, not by running it. `pmap` and `data_parallel` need several devices; a CPU has them on request:
`XLA_FLAGS=--xla_force_host_platform_device_count=2`.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import common
from jaxloss.core.devices import free_memory
from jaxloss.core.errors import unknown
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import ExecutionFactory, Parallelism
from jaxloss.execution.measure import measure, that_train
from jaxloss.execution.settings import DATA_PARALLEL, PMAP, SERIAL, VMAP
from jaxloss.tasks.base import SEARCH_EVAL, TRAIN, Task, num_examples
from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.settings import TrainingSettings

COLUMNS = (
    "model",
    "mode",
    "at_once",
    "candidates_per_hour",
    "speedup",
    "step_ms",
    "compile_seconds",
    "compilations",
    "memory_mib",
)
MODES = (SERIAL, VMAP, PMAP, DATA_PARALLEL)
RANDOM, DIGITS = "random images of the shape of CIFAR-10", "digits, 40% symmetric noise"
ACCELERATOR_LANES, ACCELERATOR_STEPS = 1024, 100
# Of the free memory, what a population may take.
SHARE_OF_FREE = 0.8
NUM_EXAMPLES = 16
_MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Model:
    """A network that is timed, and for how long.

    Attributes:
      name: of the network, in `tasks.models.registry`.
      options: of the network.
      training_steps: of the whole training that is extrapolated to.
      batch_size: examples per step.
      cpu_lanes: the most that are tried on a CPU.
      cpu_steps: timed on a CPU.
    """

    name: str
    options: Mapping[str, Any]
    training_steps: int
    batch_size: int
    cpu_lanes: int
    cpu_steps: int


# The length of the quickstart; of 4 and of 10 epochs of 40,000 images.
MODELS = {
    "mlp": Model("mlp", {}, 420, 64, 16, 200),
    "small_cnn": Model("small_cnn", {"convolution": "patches"}, 1250, 128, 4, 10),
    "small_cnn_native": Model("small_cnn", {"convolution": "native"}, 1250, 128, 4, 10),
    "resnet20": Model("resnet20", {"convolution": "native"}, 3125, 128, 2, 2),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS), help=f"of {', '.join(MODELS)}")
    parser.add_argument("--modes", default=",".join(MODES), help=f"of {', '.join(MODES)}")
    parser.add_argument("--candidates", type=common.positive, help="the largest population; by model and device if not given")
    parser.add_argument("--steps", type=common.positive, help="timed steps; by model and device if not given")
    parser.add_argument("--data", help="npz:FILE with 32x32 images, in place of random ones")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)
    models, modes = _names("model", options.models, MODELS), _names("mode", options.modes, MODES)
    if jax.local_device_count() < 2:
        modes = [mode for mode in modes if mode not in (PMAP, DATA_PARALLEL)]
    rows, results = [], {**common.facts(), "devices": jax.local_device_count(), "platform": jax.default_backend()}
    with common.without_compilation_cache():
        for name in models:
            for row in _model_rows(name, modes, options):
                print(f"{name} {row['mode']} {row['at_once']}: {row.get('candidates_per_hour', 0):.3g} candidates/h", flush=True)
                rows.append(row)
                _add_speedups(rows)
                if options.json:
                    # Of a run that is stopped, what is measured by then is kept.
                    common.write_json(options.json, {**results, "rows": rows})
    common.show_table(f"population, {results['device']}", COLUMNS, [[row.get(name) for name in COLUMNS] for row in rows])


def _names(kind: str, text: str, known: Sequence[str] | Mapping[str, Any]) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    return list(dict.fromkeys(names))


def _model_rows(name: str, modes: Sequence[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each mode and number of lanes."""
    model, on_cpu = MODELS[name], jax.default_backend() == "cpu"
    task, data = make_task(model, options.data)
    epochs = model.training_steps / (num_examples(task.data[TRAIN]) // model.batch_size)
    settings = TrainingSettings("adam", batch_size=model.batch_size, num_epochs=epochs)
    # XLA spreads a convolution over the cores by itself.
    workers = 1 if on_cpu and model.name != "mlp" else min(4, os.cpu_count() or 1)
    factory = ExecutionFactory(task, settings, workers)
    steps = options.steps or (model.cpu_steps if on_cpu else ACCELERATOR_STEPS)
    most = options.candidates or (model.cpu_lanes if on_cpu else ACCELERATOR_LANES)
    trials = _trials(factory)
    for mode in modes:
        for parallelism in _parallelisms(mode, most, 2 if on_cpu else 4):
            row = {
                "model": name,
                "data": data,
                "batch_size": model.batch_size,
                **_row(factory, parallelism, trials, steps, model),
            }
            yield row
            if not row["fits"]:
                break


def _parallelisms(mode: str, most: int, factor: int) -> list[Parallelism]:
    devices = jax.local_device_count()
    if mode not in (VMAP, PMAP):
        return [Parallelism(mode, devices=devices if mode == DATA_PARALLEL else 1)]
    most = max(1, most // (devices if mode == PMAP else 1))
    lanes = [1]
    while lanes[-1] < most:
        lanes.append(min(most, lanes[-1] * factor))
    return [Parallelism(mode, count) for count in (lanes[1:] or lanes)]


def _row(
    factory: ExecutionFactory, parallelism: Parallelism, trials: Sequence[Trial], steps: int, model: Model
) -> dict[str, Any]:
    """What one execution takes, or that its population does not fit."""
    execution = factory.make(parallelism)
    row: dict[str, Any] = {"mode": parallelism.mode, "at_once": execution.at_once, "fits": True}
    try:
        if parallelism.mode in (VMAP, PMAP) and jax.default_backend() != "cpu":
            free = free_memory()
            needed = execution.memory(trials[0])
            row |= {"memory_mib": needed / _MIB, "free_mib": free / _MIB, "fits": needed <= SHARE_OF_FREE * free}
            if not row["fits"]:
                return row
        started = time.perf_counter()
        timing = measure(execution, trials, steps)
        seconds = time.perf_counter() - started
        compilations = sum(execution.compilations.values())
    finally:
        execution.close()
    return row | {
        "candidates_per_hour": timing.candidates_per_hour(model.training_steps),
        "step_ms": 1000 * timing.step_seconds,
        "start_seconds": timing.start_seconds,
        "compile_seconds": timing.compile_seconds,
        "compilations": compilations,
        "timed_steps": steps,
        "training_steps": model.training_steps,
        "seconds": seconds,
    }


def make_task(model: Model, data: str | None) -> tuple[Task, str]:
    """The task, and what it trains on, in words."""
    if model.name == "mlp":
        return make_classification(ClassificationSettings(noise_kind="symmetric", noise_rate=0.4, model=model.name)), DIGITS
    options = {"fractions": (0.8, 0.2, 0.0), "model": model.name, "model_options": model.options}
    options |= {"pixel_mean": 0.47, "pixel_deviation": 0.25}
    if data:
        return make_classification(ClassificationSettings(data, **options)), data
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        arrays = {}
        for split, size in (("train", 5120), ("test", 512)):
            arrays[f"{split}_images"] = generator.integers(256, size=(size, 32, 32, 3), dtype=np.uint8)
            arrays[f"{split}_labels"] = np.arange(size) % 10
        np.savez(Path(folder) / "random.npz", **arrays)
        return make_classification(ClassificationSettings(f"npz:{folder}/random.npz", **options)), RANDOM


def _trials(factory: ExecutionFactory) -> list[Trial]:
    """Random candidates that train, of the two leaves that a loss needs."""
    texts = common.random_formulas(8 * NUM_EXAMPLES, 0, seen=set(), needed=("prediction", "target"))
    space = common.SPACE
    trials = [Trial(space, space.encode(space.parse(text)), 0.003, 0, 0, SEARCH_EVAL) for text in texts]
    # Whether a loss is finite at first hardly depends on the network: the small one tells it in no time.
    tiny, _ = make_task(MODELS["mlp"], None)
    execution = ExecutionFactory(tiny, factory.settings).make(Parallelism(SERIAL))
    try:
        return that_train(execution, trials, 30)[:NUM_EXAMPLES]
    finally:
        execution.close()


def _add_speedups(rows: Sequence[dict[str, Any]]) -> None:
    """Candidates per hour by those of serial training of the same model."""
    serial = {row["model"]: row["candidates_per_hour"] for row in rows if row["mode"] == SERIAL}
    for row in rows:
        if row["model"] in serial and "candidates_per_hour" in row:
            row["speedup"] = row["candidates_per_hour"] / serial[row["model"]]


if __name__ == "__main__":
    common.run(main)
