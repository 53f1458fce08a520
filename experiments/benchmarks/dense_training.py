"""Seconds of a training step on images: the interpreter in a loop or call by call, against three calls with a compiled loss.

    python -m experiments.benchmarks.dense_training --json dense_training.json

The light U-Net on random images and masks of a size that is said, batches of 8; cross-entropy as a hand-crafted loss beside, for
what the network takes. Also the seconds that the first step takes, which compiles: of the first candidate, and of a second one.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks import common
from jaxloss.core.family import LossFamily
from jaxloss.core.types import PyTree
from jaxloss.spaces.families import family
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from jaxloss.tasks.base import TRAIN, Task
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.dispatch import PARTS, STEPS, WHOLE
from jaxloss.tasks.segmentation.settings import SegmentationSettings
from jaxloss.tasks.segmentation.task import make_segmentation
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training

COLUMNS = ("loss", "dispatch", "first_seconds", "step_ms", "times_network")
BATCH_SIZE, NUM_IMAGES, RATE = 8, 32, 0.01
HANDCRAFTED = "cross_entropy"
FORMULAS = {
    "3 operators": "Neg(Mul(target, Log(prediction)))",
    "Dice, 8 operators": "Neg(Mul(Mean_nhw(Mul(target, prediction)), Inv(Mean_nhw(Add(Square(prediction), target)))))",
    "pooling, 6 operators": "Add(MaxPool3x3(Mul(target, Sqrt(prediction))), Neg(Mul(target, Log(prediction))))",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--height", type=common.positive, default=90)
    parser.add_argument("--width", type=common.positive, default=120)
    parser.add_argument("--classes", type=common.positive, default=11)
    parser.add_argument("--steps", type=common.positive, default=20, help="that are timed together")
    parser.add_argument("--repetitions", type=common.positive, default=3, help="the shortest of so many counts")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)
    rows, results = [], {**common.facts(), "size": [options.height, options.width, options.classes]}
    with common.without_compilation_cache(), tempfile.TemporaryDirectory() as folder:
        task = _task(Path(folder), options.height, options.width, options.classes)
        for row in _rows(task, options.steps, options.repetitions):
            print(f"{row['loss']}, {row['dispatch']}: {row['step_ms']:.3g} ms", flush=True)
            rows.append(row)
            if options.json:
                common.write_json(options.json, {**results, "rows": rows})
    common.show_table(f"training on images, {results['device']}", COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


def _task(folder: Path, height: int, width: int, classes: int) -> Task:
    random = np.random.default_rng(0)
    splits = {
        f"{name}_{kind}": random.integers(0, high, (NUM_IMAGES, height, width, *rest), dtype=np.uint8)
        for name in ("train", "val")
        for kind, high, rest in (("images", 256, (3,)), ("labels", classes, ()))
    }
    np.savez(folder / "random.npz", **splits, class_names=[f"class {number}" for number in range(classes)])
    settings = SegmentationSettings(source="npz:random.npz", model="light_unet", image_size=(height, width))
    return make_segmentation(settings, TaskContext(data_dir=str(folder)))


def _rows(task: Task, steps: int, repetitions: int) -> Iterator[dict[str, Any]]:
    (branch,) = task.offers
    space = autoloss_zero(AutoLossZeroSettings(branches=(branch,), branch_weights=(1.0,)))
    handcrafted = family(HANDCRAFTED)
    candidates = {name: space.encode(space.parse(text)) for name, text in FORMULAS.items()}
    alone = None
    for dispatch, of, encoded in [
        (WHOLE, handcrafted, {HANDCRAFTED: handcrafted.encode(handcrafted.defaults)}),
        (WHOLE, space, candidates),
        (STEPS, space, candidates),
        (PARTS, space, candidates),
    ]:
        training = _training(task, of, dispatch, steps)
        for name, one in encoded.items():
            first, milliseconds = _timed(training, one, task.data[TRAIN], steps, repetitions)
            alone = alone or milliseconds
            yield {
                "loss": name,
                "dispatch": dispatch,
                "first_seconds": first,
                "step_ms": milliseconds,
                "times_network": milliseconds / alone,
            }


def _training(task: Task, of: LossFamily, dispatch: str, steps: int) -> Training:
    epochs = (steps + 1) * BATCH_SIZE / NUM_IMAGES
    return Training(task, of, TrainingSettings(optimiser="adam", batch_size=BATCH_SIZE, num_epochs=epochs), dispatch)


def _timed(training: Training, encoded: PyTree, train: PyTree, steps: int, repetitions: int) -> tuple[float, float]:
    """Seconds of the first step, which compiles, and milliseconds of a later one."""

    def seconds(number: int) -> float:
        started = time.perf_counter()
        training.first_steps(encoded, RATE, 0, train, number)
        return time.perf_counter() - started

    first = seconds(1)
    begun = min(seconds(1) for _ in range(repetitions))
    return first - begun, 1e3 * (min(seconds(steps + 1) for _ in range(repetitions)) - begun) / steps


if __name__ == "__main__":
    main()
