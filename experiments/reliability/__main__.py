"""Kills short runs at their events, and compares what they end with to undisturbed ones.

    python -m experiments.reliability --workdir DIR --seconds 600 --json experiments/results/reliability_cpu.json

In each mode one run goes to its end, and its events are listed (`events.py`). Then for one event after the other a run is begun,
killed by SIGKILL before that event, and carried on by the same command. Rows, states, summary, curves, config and the names of all
files have to be those of the undisturbed run, clocks aside. Of each kind of event the first, the last and the middle one come first,
then all others, the modes in turn. The same command goes on where it was stopped.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks import common
from jaxloss.runs import json_text, open_for_reading

REPOSITORY = Path(__file__).parents[2]
_SHORT = {
    "quiet": "true",
    "execution.mode": "serial",
    "execution.workers": "1",
    "training.num_epochs": "1",
    "comparison.num_divisions": "1",
    "comparison.tuning_trainings": "4",
    "comparison.tuning_finalists": "2",
    "comparison.tuning_seeds": "1",
    "comparison.test_seeds": "1",
    "comparison.handcrafted": "('cross_entropy',)",
}
_SEARCH = {
    "search.num_trainings": "4",
    "search.control": "false",
    "filters.rejection.iterations": "50",
    "comparison.rank_candidates": "2",
    "comparison.rank_seeds": "1",
    "comparison.num_found": "1",
}
_LOCKSTEP = {
    "lockstep.num_samples": "3",
    "lockstep.rate": "given",
    "lockstep.random": "false",
    "lockstep.longer": "false",
    "lockstep.best_of": "false",
    "training.num_epochs": "3",
}
_DIGITS, _LEARNED = "configs/autoloss_zero_digits.py", "configs/am_lfs_digits.py"
# Mode -> the config, and what makes a run of it short.
MODES = {
    "search": (_DIGITS, {**_SHORT, **_SEARCH}),
    "compare": (_DIGITS, {**_SHORT, "mode": "compare", "losses": "('cross_entropy', 'gce')"}),
    "train": (_DIGITS, {**_SHORT, "mode": "train", "loss": "cross_entropy"}),
    "lockstep": (_LEARNED, {**_SHORT, **_LOCKSTEP}),
}
_NOT_USED = {"compare": ("comparison.handcrafted",), "train": ("comparison.handcrafted", "comparison.tuning_trainings",
             "comparison.tuning_finalists", "comparison.tuning_seeds")}  # fmt: skip
# Parts of a summary that no two runs share.
_CLOCKS = ("seconds", "compilations", "command")


def arguments_of(mode: str, workdir: Path) -> list[str]:
    """Of the launch command."""
    config, overrides = MODES[mode]
    used = {key: value for key, value in overrides.items() if key not in _NOT_USED.get(mode, ())}
    return [f"--config={config}", f"--workdir={workdir}", *(f"--config.{key}={value}" for key, value in used.items())]


def carry_out(mode: str, workdir: Path, log: Path, event: tuple[str, int] | None = None) -> int:
    """Runs a mode, up to an event where one is given; returns how the process ended."""
    target = [event[0], str(event[1])] if event else []
    command = [sys.executable, "-m", "experiments.reliability.events", str(workdir), str(log), *target, "--"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [*command, *arguments_of(mode, workdir)], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, -signal.SIGKILL):
        print(f"{mode}: {done.stderr.strip()[-2000:]}", file=sys.stderr)
    return done.returncode


def content(workdir: Path) -> dict[str, str]:
    """What a run ended with, part by part, as text; clocks aside."""
    with open_for_reading(workdir) as run:
        summary = {name: value for name, value in run.read_summary().items() if name not in _CLOCKS}
        lines = [{name: value for name, value in line.items() if name != "wall_time"} for line in run.read_metrics()]
        archive, config = run.archive.comparable(ignore=("seconds", "wall_time")), run.config
    # Event files are named by the second in which they were begun, versions of a checkpoint by how often it was saved.
    single = ("tensorboard", "checkpoints")
    files = [path.relative_to(workdir) for path in workdir.rglob("*")]
    names = {str(path) for path in files if path.parts[0] not in single or (len(path.parts) < 3 and path.parts[0] != single[0])}
    best = {name: summary.get(name) for name in ("best", "headline")}
    parts = {"rows": archive, "best": best, "summary": summary, "curves": lines, "config": config, "files": sorted(names)}
    return {name: json_text.dumps(part) for name, part in parts.items()}


def chosen(events: Sequence[str]) -> list[tuple[str, int]]:
    """The events of a run as (kind, number), those that tell most first: of each kind the first, the last, the middle one."""
    counts = Counter(events)
    first = [(kind, number) for kind, count in counts.items() for number in dict.fromkeys((1, count, (count + 1) // 2))]
    return list(dict.fromkeys([*first, *((kind, number) for kind, count in counts.items() for number in range(1, count + 1))]))


def in_turn(lists: dict[str, list[tuple[str, int]]]) -> Iterator[tuple[str, tuple[str, int]]]:
    """One of each mode, then the next of each."""
    for place in range(max(map(len, lists.values()))):
        yield from ((mode, one[place]) for mode, one in lists.items() if place < len(one))


def undisturbed(mode: str, folder: Path) -> tuple[dict[str, str], list[str]]:
    """What an undisturbed run ends with, and its events."""
    workdir, log = folder / mode / "whole", folder / mode / "whole.events"
    if not (workdir / "report.html").exists():
        shutil.rmtree(workdir, ignore_errors=True)
        log.unlink(missing_ok=True)
        if carry_out(mode, workdir, log):
            raise SystemExit(f"the undisturbed run of mode {mode} failed")
    return content(workdir), log.read_text().splitlines()


def killed(mode: str, event: tuple[str, int], folder: Path, expected: dict[str, str]) -> dict[str, Any]:
    """One kill, and what came of it."""
    workdir, log = folder / mode / "killed", folder / mode / "killed.events"
    shutil.rmtree(workdir, ignore_errors=True)
    log.unlink(missing_ok=True)
    workdir.parent.mkdir(parents=True, exist_ok=True)
    row = {"mode": mode, "event": event[0], "number": event[1], "of": None, "killed": False, "different": ["not finished"]}
    row["killed"] = carry_out(mode, workdir, log, event) == -signal.SIGKILL
    if carry_out(mode, workdir, log) == 0:
        found = content(workdir)
        row["different"] = [part for part in expected if found[part] != expected[part]]
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 where a run ended differently."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the runs and of what was done")
    parser.add_argument("--seconds", type=common.positive, default=600, help="after which no further run is killed")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    wholes = {mode: undisturbed(mode, options.workdir) for mode in MODES}
    done_file = options.workdir / "kills.jsonl"
    rows = [json.loads(line) for line in done_file.read_text().splitlines()] if done_file.exists() else []
    done = {(row["mode"], row["event"], row["number"]) for row in rows}
    counts = {mode: Counter(events) for mode, (_, events) in wholes.items()}
    for mode, event in in_turn({mode: chosen(events) for mode, (_, events) in wholes.items()}):
        if time.monotonic() - began > options.seconds:
            break
        if (mode, *event) in done:
            continue
        row = {**killed(mode, event, options.workdir, wholes[mode][0]), "of": counts[mode][event[0]]}
        rows.append(row)
        with done_file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{mode}, {event[0]} {event[1]} of {row['of']}: {', '.join(row['different']) or 'the same'}", flush=True)
    bad = [row for row in rows if row["different"]]
    print(f"{sum(row['killed'] for row in rows)} kills, {len(bad)} runs that ended differently")
    if options.json:
        modes = {
            mode: {"events": sum(counts[mode].values()), "kills": sum(row["killed"] for row in rows if row["mode"] == mode)}
            for mode in MODES
        }
        common.write_json(options.json, {"facts": common.facts(), "modes": modes, "kills": rows})
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
