"""How long does a fit of the performance predictor take?

    python -m experiments.predictor.timing --json OUT.json

A fit of some epochs is measured after the program is compiled, and scaled to the number of epochs in the settings: the work of
an epoch does not depend on what the features are, so they are random numbers. The first fit of a run compiles besides.
`processor_seconds` are summed over the cores: what other programs do at the same time changes them less than the clock's.
"""

import argparse
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import common
from jaxloss.systems.autoloss_gms.predictor.predictor import fit
from jaxloss.systems.autoloss_gms.settings import PredictorSettings

# Depth, width and measured epochs at 100 rows.
NETWORKS = ((10, 8, 10), (10, 16, 10), (18, 16, 10), (50, 64, 1))
POINTS = 257


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=common.numbers, default=(100, 500), help="evaluated losses, such as 100,500")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)

    rows = [
        measure(PredictorSettings(depth=depth, width=width), max(1, epochs * 100 // num_rows), num_rows)
        for depth, width, epochs in NETWORKS
        for num_rows in options.rows
    ]
    columns = ("depth", "width", "parameters", "rows", "compile_seconds", "measured_epochs", "fit_seconds", "processor_seconds")
    title = f"seconds of a fit of {PredictorSettings().num_epochs} epochs, extrapolated from the measured ones"
    common.show_table(title, columns, [[row[name] for name in columns] for row in rows])
    if options.json:
        common.write_json(options.json, {**common.facts(), "rows": rows})


def measure(settings: PredictorSettings, num_epochs: int, num_rows: int) -> dict[str, Any]:
    """One row of the table: seconds of a fit of `settings.num_epochs` epochs, from a fit of `num_epochs`."""
    random = np.random.default_rng(0)
    features, scores = random.normal(size=(num_rows, 3, POINTS)), random.uniform(size=num_rows).tolist()
    short = dataclasses.replace(settings, num_epochs=num_epochs)
    started = time.perf_counter()
    fit(short, features[:1], scores[:1], seed=0)
    compiled, processor = time.perf_counter(), time.process_time()
    state = fit(short, features, scores, seed=0)
    seconds, processor_seconds = time.perf_counter() - compiled, time.process_time() - processor
    return {
        "depth": settings.depth,
        "width": settings.width,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(state.variables["params"])),
        "rows": num_rows,
        "compile_seconds": round(compiled - started, 1),
        "measured_epochs": num_epochs,
        "fit_seconds": round(seconds * settings.num_epochs / num_epochs, 1),
        "processor_seconds": round(processor_seconds * settings.num_epochs / num_epochs, 1),
    }


if __name__ == "__main__":
    common.run(main)
