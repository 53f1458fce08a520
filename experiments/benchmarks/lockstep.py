"""Seconds of an epoch with many copies of a network, each with a loss of its own, against one copy alone.

    python -m experiments.benchmarks.lockstep --json lockstep.json

The copies start from one state, as in a round of a search in lock-step, and are scored at its end. The network of the digits, and
ResNet-20 on random images of the shape of CIFAR-10; on a CPU one after the other and, for comparison, in one step.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import common
from experiments.benchmarks.population import MODELS, make_task
from jaxloss.core.errors import unknown
from jaxloss.execution.base import Execution, Trial
from jaxloss.execution.choice import ExecutionFactory, Parallelism
from jaxloss.execution.settings import SERIAL, VMAP
from jaxloss.systems.am_lfs.space import am_lfs
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.settings import TrainingSettings

COLUMNS = ("model", "mode", "lanes", "copies", "epoch_seconds", "times_one_copy", "compilations")
# On a CPU an epoch of ResNet-20 takes minutes.
CPU_MODELS, ALL_MODELS = ("mlp",), ("mlp", "resnet20")
EPOCHS = 4.0


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    on_cpu = jax.default_backend() == "cpu"
    parser.add_argument("--models", default=",".join(CPU_MODELS if on_cpu else ALL_MODELS), help=f"of {', '.join(MODELS)}")
    parser.add_argument("--copies", type=common.positive, default=32, help="`B`")
    parser.add_argument("--lanes", type=common.numbers, help="copies in one step, such as 4,32; by device if not given")
    parser.add_argument("--repetitions", type=common.positive, default=3, help="the shortest of so many epochs counts")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)
    names = options.models.split(",")
    for name in names:
        if name not in MODELS:
            raise unknown("model", name, MODELS)
    lanes = options.lanes or ((4,) if on_cpu else (8, options.copies))
    rows, results = [], common.facts()
    with common.without_compilation_cache():
        for name in names:
            for row in _rows(name, options.copies, lanes, options.repetitions):
                print(f"{name} {row['mode']} {row['lanes']}: {row['epoch_seconds']:.3g} s for {row['copies']} copies", flush=True)
                rows.append(row)
                if options.json:
                    # Of a run that is stopped, what is measured by then is kept.
                    common.write_json(options.json, {**results, "rows": rows})
    common.show_table(f"lock-step, {results['device']}", COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


def _rows(name: str, copies: int, lanes: Sequence[int], repetitions: int) -> Iterator[dict[str, Any]]:
    """One copy alone, then all of them, in each way."""
    model = MODELS[name]
    task, _ = make_task(model, None)
    factory = ExecutionFactory(task, TrainingSettings(batch_size=model.batch_size, num_epochs=EPOCHS))
    alone = None
    for parallelism, count in [
        (Parallelism(SERIAL), 1),
        (Parallelism(SERIAL), copies),
        *((Parallelism(VMAP, number), copies) for number in lanes),
    ]:
        execution = factory.make(parallelism)
        try:
            seconds = _epoch_seconds(execution, count, repetitions)
            compilations = sum(execution.compilations.values())
        finally:
            execution.close()
        alone = seconds if alone is None else alone
        yield {
            "model": name,
            "mode": parallelism.mode,
            "lanes": parallelism.lanes,
            "copies": count,
            "epoch_seconds": seconds,
            "times_one_copy": seconds / alone,
            "compilations": compilations,
        }


def _epoch_seconds(execution: Execution, copies: int, repetitions: int) -> float:
    """Of the second epoch: the first one compiles, and all copies start from its end."""
    space, generator = am_lfs(), np.random.default_rng(0)
    drawn = space.distribution.sample(space.distribution.start(), generator, copies)
    steps = execution.steps_per_epoch(0)

    def run(start) -> list:
        trials = [Trial(space, space.encode(one), 0.01, start, 0, SEARCH_EVAL, steps, keep_end=True) for one in drawn]
        return [outcome for outcome, _ in execution.run(trials)]

    start, seconds = run(0)[0].end, []
    run(start)
    for _ in range(repetitions):
        begin = time.perf_counter()
        run(start)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


if __name__ == "__main__":
    common.run(main)
