"""Trainings in a second in this process and on the workers of a Ray cluster of this machine.

    python -m experiments.benchmarks.cluster --json experiments/results/benchmarks_cpu/cluster.json

The digits with 40% label noise and the MLP of the quickstart, random losses that train. Every way carries the same trainings
out, after each of its threads or workers has compiled them, and has to give the same scores. What the second worker gives is
bounded by the cores that are free. `start_seconds` is what comes before: the cluster, the processes, their data, compilation.
"""

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections

from experiments.benchmarks import common
from experiments.benchmarks.population import DIGITS
from jaxloss.config import default_config
from jaxloss.config.execution import prepare_process
from jaxloss.config.plan import make_plan
from jaxloss.execution.base import Execution, Trial
from jaxloss.execution.choice import Parallelism
from jaxloss.execution.measure import that_train
from jaxloss.execution.settings import LOCAL, RAY, SERIAL
from jaxloss.spaces.base import Space
from jaxloss.tasks.base import SEARCH_EVAL
from jaxloss.tasks.state import Outcome

COLUMNS = ("executor", "workers", "trainings", "start_seconds", "seconds", "trainings_per_second", "against_one_thread")
WAYS = ((LOCAL, 1), (LOCAL, 2), (RAY, 1), (RAY, 2))
_NUM_LOSSES, _REPEATS = 8, 5


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--trainings", type=common.positive, default=64, help="that every way carries out, five times; 64 by default"
    )
    parser.add_argument("--epochs", type=common.positive, default=30, help="of each; 30 by default, as in the quickstart")
    parser.add_argument("--shared", action="store_true", help="notes that others were at work on the machine")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)
    config = default_config()
    config.update_from_flattened_dict(
        {
            "task.classification.noise_kind": "symmetric",
            "task.classification.noise_rate": 0.4,
            "training.optimiser": "adam",
            "training.num_epochs": float(options.epochs),
            "execution.mode": SERIAL,
        }
    )
    load = _load()
    rows = _rows(config, options.trainings)
    machine = {"load_at_start": load, "load_at_end": _load(), "shared": options.shared}
    results = {**common.facts(), "data": DIGITS, "epochs": options.epochs, **machine, "rows": rows}
    if options.json:
        common.write_json(options.json, results)
    common.show_table(f"cluster, {results['device']}", COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


def _load() -> float | None:
    """Processes that wanted a core in the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _rows(config: ml_collections.ConfigDict, num_trainings: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    scores: list[list[float | None]] = []
    trials: list[Trial] = []
    with common.without_compilation_cache():
        for executor, workers in WAYS:
            of_way = config.copy_and_resolve_references()
            of_way.execution.executor, of_way.execution.workers = executor, workers
            prepare_process(of_way)
            plan = make_plan(of_way)
            started = time.perf_counter()
            execution = plan.make_execution(Parallelism(SERIAL))
            try:
                trials = trials or _trials(plan.space, execution, num_trainings)
                execution.first_steps(trials[:workers], 2)
                list(execution.run(trials[:workers]))
                start_seconds = time.perf_counter() - started
                outcomes, seconds = _fastest(execution, trials)
            finally:
                execution.close()
            scores.append([outcome.score for outcome, _ in outcomes])
            rows.append(
                {
                    "executor": executor,
                    "workers": workers,
                    "trainings": num_trainings,
                    "start_seconds": start_seconds,
                    "seconds": seconds,
                    "trainings_per_second": num_trainings / seconds,
                    "against_one_thread": rows[0]["seconds"] / seconds if rows else 1.0,
                    "same_scores": scores[-1] == scores[0],
                }
            )
            print(f"{executor} {workers}: {num_trainings / seconds:.3g} trainings a second", flush=True)
    return rows


def _fastest(execution: Execution, trials: Sequence[Trial]) -> tuple[list[tuple[Outcome, float]], float]:
    """What the trials gave, and the shortest of some times: what others do on the machine only ever adds to it."""
    runs = [common.timed(lambda: list(execution.run(trials))) for _ in range(_REPEATS)]
    return runs[0][0], min(seconds for _, seconds in runs)


def _trials(space: Space, execution: Execution, number: int) -> list[Trial]:
    """Random losses that train, in turn."""
    texts = common.random_formulas(4 * _NUM_LOSSES, 0, seen=set(), needed=("prediction", "target"))
    encoded = [jax.device_get(space.encode(space.parse(text))) for text in texts]
    found = that_train(execution, [Trial(space, one, 0.003, 0, 0, SEARCH_EVAL) for one in encoded], 30)[:_NUM_LOSSES]
    return [found[index % len(found)] for index in range(number)]


if __name__ == "__main__":
    common.run(main)
