"""Stops short runs at their events, and compares what they end with to undisturbed ones.

    python -m experiments.reliability --workdir DIR --seconds 600 --json experiments/results/reliability_cpu.json

In each mode one run goes to its end, and its events are listed (`events.py`). Then a run is begun in another directory and
stopped before the first event of one kind, by SIGKILL or what `--signal` names, carried on by the same command and stopped before
the first event of the next kind, and so on, until it comes to its end. Rows, states, summary, curves, config and the names of all
files have to be those of the undisturbed run, clocks aside. Kinds that did not come up again get a chain of their own; a last
chain is stopped at one commit after the other. The same command goes on with the chains that are not done.
"""

import argparse
import json
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks import common
from experiments.reliability.events import SIGNALS
from experiments.reliability.modes import MODES
from experiments.reliability.starts import carry_out
from jaxloss.core.interrupts import INTERRUPTED
from jaxloss.runs import json_text, open_for_reading

# Parts of a summary that no two runs share.
_CLOCKS = ("seconds", "compilations", "command")


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


def undisturbed(mode: str, folder: Path) -> tuple[dict[str, str], list[str]]:
    """What an undisturbed run ends with, and its events."""
    workdir, log = folder / mode / "whole", folder / mode / "whole.events"
    if not (workdir / "report.html").exists():
        shutil.rmtree(workdir, ignore_errors=True)
        log.unlink(missing_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        code, problem = carry_out(mode, workdir, log)
        if code:
            raise SystemExit(f"the undisturbed run of mode {mode} failed; {problem}")
    return content(workdir), log.read_text().splitlines()


def chain(
    mode: str, folder: Path, targets: Iterable[tuple[str, int]], expected: dict[str, str], end: float, how: str = "kill"
) -> dict[str, Any]:
    """One run that is stopped at one target after the other, until it ends by itself or the time is over.

    Args:
      mode: of the run.
      folder: of the campaign.
      targets: (kind of event, number of its occurrence in a start).
      expected: see `content`.
      end: on the monotonic clock; later on the run is not disturbed any more.
      how: a key of `events.SIGNALS`.

    Returns:
      `{'mode', 'kills': [kind, ...], 'different': [part, ...]}`.
    """
    workdir, log = folder / mode / "killed", folder / mode / "killed.events"
    shutil.rmtree(workdir, ignore_errors=True)
    stopped = -signal.SIGKILL if how == "kill" else INTERRUPTED
    kills, code, problems = [], stopped, []
    for target in targets:
        if time.monotonic() > end:
            break
        log.unlink(missing_ok=True)
        code, problem = carry_out(mode, workdir, log, target, how)
        problems += [f"{target[0]}, {problem}"] if problem else []
        if code != stopped:
            break
        kills.append(target[0])
        print(f"{mode}: {how} before '{target[0]}' {target[1]} {problem}".rstrip(), flush=True)
    if code == stopped:
        code, _ = carry_out(mode, workdir, log)
    if code:
        return {"mode": mode, "kills": kills, "different": [*problems, f"exit code {code}"]}
    found = content(workdir)
    return {"mode": mode, "kills": kills, "different": [*problems, *(part for part in expected if found[part] != expected[part])]}


def at_commits(total: int) -> Iterator[tuple[str, int]]:
    """Before and behind commits in turn: each start does one or two of them, so that they all come up."""
    for number in range(2 * total):
        yield ("commit", 2) if number % 2 else ("committed", 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 where a run ended differently."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the runs and of what was done")
    parser.add_argument("--seconds", type=common.positive, default=600, help="after which no further run is killed")
    parser.add_argument("--signal", choices=SIGNALS, default="kill", help="what a run is stopped by")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="of the runs")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    wholes = {mode: undisturbed(mode, options.workdir) for mode in options.modes}
    done_file, end = options.workdir / "chains.jsonl", began + options.seconds
    rows = [json.loads(line) for line in done_file.read_text().splitlines()] if done_file.exists() else []
    rows = [row for row in rows if row.get("signal", "kill") == options.signal]
    by_commits = {row["mode"] for row in rows if row["by_commits"]}
    while time.monotonic() < end:
        waiting = {mode: missing(mode, events, rows) for mode, (_, events) in wholes.items()}
        chains = Counter(row["mode"] for row in rows)
        mode = min((mode for mode in options.modes if waiting[mode]), key=chains.__getitem__, default=None)
        is_last = mode is None
        mode = next((mode for mode in options.modes if mode not in by_commits), None) if is_last else mode
        if mode is None:
            break
        expected, events = wholes[mode]
        targets = at_commits(events.count("commit")) if is_last else [(kind, 1) for kind in waiting[mode]]
        found = chain(mode, options.workdir, targets, expected, end, options.signal)
        row = {**found, "signal": options.signal, "by_commits": is_last, "commit": common.facts()["commit"]}
        if is_last:
            by_commits.add(mode)
        rows.append(row)
        with done_file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{mode}: {len(row['kills'])} kills, {', '.join(row['different']) or 'and the same'}", flush=True)
    bad = [row for row in rows if row["different"]]
    print(f"{sum(len(row['kills']) for row in rows)} kills in {len(rows)} runs, of which {len(bad)} ended differently")
    if options.json:
        modes = {
            mode: {
                "events": len(events),
                "kinds": len(set(events)),
                "kinds_killed_at": len({kind for row in rows if row["mode"] == mode for kind in row["kills"]}),
                "kinds_left": missing(mode, events, rows),
                "kills": sum(len(row["kills"]) for row in rows if row["mode"] == mode),
            }
            for mode, (_, events) in wholes.items()
        }
        common.write_json(options.json, {"facts": common.facts(), "signal": options.signal, "modes": modes, "chains": rows})
    return 1 if bad else 0


def missing(mode: str, events: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Kinds of events of a mode, in the order in which they come up, at which no run was killed yet."""
    done = {kind for row in rows if row["mode"] == mode for kind in row["kills"]}
    # A chain that was killed nowhere has nothing left to be killed at.
    fruitless = any(row["mode"] == mode and not row["kills"] for row in rows)
    return [] if fruitless else [kind for kind in dict.fromkeys(events) if kind not in done]


if __name__ == "__main__":
    sys.exit(main())
