"""What each part of AutoLoss-Zero is worth on a segmentation task, as Figure 4 and Table 8 of its paper.

    python -m experiments.autoloss_zero_segmentation.ablation --data_dir DIR --workdir DIR --seconds 300 --seeds 3 --json FILE

Random search, then evolution, the rejection protocol and the equivalence check, one after the other, each for the same time from
the start of its process. A network that meets NaN or infinity is never trained on: what that is worth is the steps that were not
done, at the measured seconds of a step. A stopped command goes on with the runs that are missing.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jaxloss
from experiments.autoloss_zero_segmentation.ablation_figure import lines_of, write_picture
from experiments.benchmarks.common import facts, output_path, positive, write_json

CONFIG = "configs/autoloss_zero_camvid.py"
# As the papers search: one training a candidate, and nothing known beforehand.
_ALIKE = {
    "search.preset": "paper",
    "search.num_trainings": "1000000",
    "comparison.handcrafted": "()",
    "training.learning_rate": "0.0224",
    "execution.mode": "serial",
}
# No two losses are the same in so many digits, except those that are the same in all.
_NO_EQUIVALENCE = {"filters.equivalence.significant_digits": "17"}
# Without a control by random search, which is the first variant.
_ALONE = {"search.control": "false"}
_NO_REJECTION = {"filters.rejection.enabled": "false"}

# Each with what those before it have.
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "random search": {"search.name": "random_search", **_NO_REJECTION, **_NO_EQUIVALENCE},
    "evolution": {**_ALONE, **_NO_REJECTION, **_NO_EQUIVALENCE},
    "+ rejection": {**_ALONE, **_NO_EQUIVALENCE},
    "+ equivalence": _ALONE,
}


def main() -> None:
    """Runs what is missing, and writes the figures after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=positive, default=300, help="of each run, the compilation included")
    parser.add_argument("--seeds", type=positive, default=3, help="of each variant")
    parser.add_argument("--data_dir", default="", help="folder of data files")
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="folder of the runs")
    parser.add_argument("--json", required=True, type=output_path)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        for variant in VARIANTS:
            rows.append(_row(variant, seed, options))
            write_json(options.json, {**facts(), "seconds": options.seconds, "rows": rows})
    print("\n".join(lines_of(rows, options.seconds)))
    write_picture(rows, options.seconds, options.json.with_suffix(".png"))


def _row(variant: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run, which is there or is made."""
    path = options.workdir / f"{variant.replace('+ ', 'with ').replace(' ', '_')}_{seed}"
    stored = path / "ablation.json"
    if not stored.exists():
        changes = {**_ALIKE, **VARIANTS[variant], "seed": str(seed), "data_dir": options.data_dir}
        began = _run(path, [f"--config.{key}={value}" for key, value in changes.items()], options.seconds)
        write_json(stored, {"variant": variant, "seed": seed, **_figures(path, began, options.seconds)})
    return json.loads(stored.read_text())


def _run(path: pathlib.Path, arguments: Sequence[str], seconds: int) -> float:
    """Searches for so long, stops as control-C does, and returns when it began."""
    command = [sys.executable, "-m", "jaxloss.launch", f"--config={CONFIG}", f"--workdir={path}", *arguments]
    began = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
    else:
        sys.exit(f"the run in {path} ended by itself with exit code {code}, before its {seconds} seconds were over")
    return began


def _figures(path: pathlib.Path, began: float, seconds: int) -> dict[str, Any]:
    """What a run looked at and trained in its time, and its best score over time."""
    search = jaxloss.open_run(path)
    trained = search.trainings().query("stage in ('evolution', 'random_search')").to_dict("records")
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["wall_time"] - began <= seconds]
    whole = max((row["steps"] for row in trained), default=0)
    return {
        "proposed": int(lines[-1]["proposed"]) if lines else 0,
        "trainings": len(trained),
        "stopped": sum(not row["finite"] for row in trained),
        "seconds_a_step": sum(row["seconds"] for row in trained) / max(1, sum(row["steps"] for row in trained)),
        "steps_not_done": sum(whole - row["steps"] for row in trained),
        "best": [[line["wall_time"] - began, line["best"]] for line in lines],
    }


if __name__ == "__main__":
    main()
