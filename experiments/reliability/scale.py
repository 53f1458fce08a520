"""An archive of a million candidates: how long a run takes to go on with it, and a report to be made of it.

    python -m experiments.reliability.scale --workdir DIR --rows 1000000 --json experiments/results/reliability_scale_cpu.json

The archive is written through its public interface: of 25 rows one is of a whole candidate that was trained, the others are draws
that the filters stopped. Each measurement has a process of its own, for
its peak memory. A directory that is whole is measured again by the same command.
"""

import argparse
import contextlib
import itertools
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks import common
from experiments.reliability.filter_checks import cascade_for
from jaxloss.cli.progress import ConsoleProgress
from jaxloss.report.page import write_report
from jaxloss.runs import Archive, CandidateRow, RunDirectory, TrainingRow
from jaxloss.runs.metrics import metric_line
from jaxloss.search.budget import SearchBudget
from jaxloss.search.evolution import Evolution
from jaxloss.search.loop import SearchLoop

DRAWS = 25
_FORMULAS = 5_000
# Proposals that are committed together, to be done before the day is.
_TOGETHER = 50
_SEARCH = "evolution"
CONFIG = {
    "mode": "search",
    "task": {"name": "classification"},
    "space": {"name": "autoloss_zero"},
    "search": {"name": _SEARCH, "evolution": {"population_size": 2500}},
}
# What a million rows may take: seconds, bytes of the page.
LIMITS = {"resume_processor_seconds": 10.0, "report_processor_seconds": 30.0, "report_bytes": 5_000_000}


def rows_of(proposal: int, formulas: Sequence[str], draws: int) -> tuple[list[CandidateRow], list[TrainingRow]]:
    """What a search stores of one proposal, after `draws - 1` that were stopped."""

    def row(branch: str, attempt: int, **values: Any) -> CandidateRow:
        number = proposal * draws + attempt
        norms = " ".join(f"{(number * k) % 97 / 97:.1e}" for k in (1, 3, 7, 11, 13))
        sketch = " ".join(f"{(number * k) % 999_983 / 999_983 - 0.5:.6e}" for k in (1, 3, 7, 11, 13, 17))
        return CandidateRow(
            search=_SEARCH,
            proposal=proposal,
            branch=branch,
            attempt=attempt,
            formula=formulas[(number * 7919) % len(formulas)],
            key=f"{number:024x}",
            origin="mutation",
            parent=proposal - 1 if proposal else None,
            signature=f"{norms} {number}",
            sketch=sketch,
            **values,
        )

    score = 0.5 + 0.4 * (proposal * 37 % 1000) / 1000
    stopped = [row("classification", attempt, reason="no_metric_gain", gain=0.01) for attempt in range(draws - 1)]
    whole = row("*", draws - 1, reason="accepted", gain=0.4, score=score, training=True, seconds=1.5)
    training = TrainingRow(
        stage=_SEARCH, loss=whole.formula, formula=whole.formula, hyperparameters={"proposal": proposal}, learning_rate=0.1,
        seed=0, division=0, evaluated_on="search_eval", score=score, steps=200, seconds=1.5, scores={"accuracy": score},
    )  # fmt: skip
    return [*stopped, whole], [training]


def build(path: Path, rows: int) -> dict[str, float]:
    """Writes the directory of a run with so many candidate rows; returns seconds and bytes."""
    formulas = common.random_formulas(_FORMULAS, 0, set(), needed=("prediction", "target"))
    begin, counts = time.perf_counter(), {"proposed": 0, "rejected": {}, "equivalent": 0, "trained": 0, "trainings": 0}
    with RunDirectory.open(path, CONFIG) as run:
        for first in range(0, rows // DRAWS, _TOGETHER):
            numbers = range(first, min(first + _TOGETHER, rows // DRAWS))
            candidates, trainings = zip(*(rows_of(proposal, formulas, DRAWS) for proposal in numbers), strict=True)
            trained = numbers[-1] + 1
            counts |= {"proposed": 100 * trained, "trained": trained, "trainings": trained, "stopped_by_nan": 0}
            counts["rejected"] = {"no_prediction": 76 * trained, "no_metric_gain": (DRAWS - 1) * trained}
            state = {_SEARCH: {"counts": counts, "pending": [], "seconds": {"training": 1.5 * trained}}}
            lines = [metric_line(number + 1, {"score": row.score}) for number, (row,) in zip(numbers, trainings, strict=True)]
            run.archive.commit(itertools.chain(*candidates), itertools.chain(*trainings), state, lines)
            for line in lines:
                run.metrics.write(line)
    seconds, size = time.perf_counter() - begin, (path / "archive.sqlite").stat().st_size
    return {"build_seconds": seconds, "archive_bytes": size, "bytes_a_row": size / rows}


def resume(path: Path) -> dict[str, Any]:
    """Goes on with the run, up to where the search would propose."""
    cascade, space = cascade_for("autoloss_zero", 1), common.SPACE  # their compilation is no part of it
    budget, progress = SearchBudget(10**9, 0.1, ((0, 0),), 64, 50_000), ConsoleProgress(quiet=True)
    with _measured("resume") as found, RunDirectory.open(path, CONFIG) as run:
        found["resume_open_seconds"] = time.perf_counter() - found["begin"]
        loop = SearchLoop(Evolution(space, 0), {cascade.branch: cascade}, None, run.archive, budget, progress, run.metrics)
        found["individuals"] = len(loop.search.individuals)
        found["rejected"] = loop.memory.num_rejected
    return found


def report(path: Path) -> dict[str, Any]:
    """Makes the page."""
    with _measured("report") as found:
        found["report_bytes"] = write_report(path, common.SPACE).stat().st_size
    return found


def read(path: Path) -> dict[str, Any]:
    """Reads all rows, as the export and the Python interface do."""
    with _measured("read") as found, Archive(path / "archive.sqlite", read_only=True) as archive:
        found["rows"] = len(archive.candidates())
    return found


@contextlib.contextmanager
def _measured(name: str):
    before = _peak()
    found: dict[str, Any] = {"begin": time.perf_counter()}
    processor = time.process_time()
    yield found
    found[f"{name}_seconds"] = time.perf_counter() - found.pop("begin")
    # On a machine that others use, the smaller of the two is nearer to what it takes alone.
    found[f"{name}_processor_seconds"] = time.process_time() - processor
    found[f"{name}_mebibytes"] = _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


READ_AND_WRITE = """
import sys, time
from jaxloss.runs import Archive
with Archive(sys.argv[1], read_only=True) as archive:
    end, reads, last = time.monotonic() + float(sys.argv[2]), 0, 0
    while time.monotonic() < end:
        count = len(archive.trainings())
        assert count >= last and archive.state("evolution")["counts"]["trained"] >= count
        last, reads = count, reads + 1
print(reads)
"""


def read_and_write(path: Path, seconds: float = 20.0) -> dict[str, Any]:
    """Two processes read all trainings again and again while this one commits to a copy; no commit may be lost or late."""
    copy = path.parent / "written"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy)
    archive_path = copy / "archive.sqlite"
    formulas, waits = ["Neg(Mul(target, Log(prediction)))"], []
    with Archive(archive_path) as archive:
        first = archive.state(_SEARCH)["counts"]["trained"]
        command = [sys.executable, "-c", READ_AND_WRITE, str(archive_path), str(seconds)]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        while any(reader.poll() is None for reader in readers):
            candidates, trainings = rows_of(first + len(waits), formulas, DRAWS)
            begin = time.perf_counter()
            archive.commit(candidates, trainings, {_SEARCH: {"counts": {"trained": first + len(waits) + 1}}})
            waits.append(time.perf_counter() - begin)
    reads = [int(reader.communicate()[0] or -1) for reader in readers]
    with Archive(archive_path, read_only=True) as archive:
        lost = first + len(waits) - len(archive.trainings())
    shutil.rmtree(copy)
    return {
        "commits_beside_readers": len(waits),
        "mean_commit_seconds": sum(waits) / len(waits),
        "longest_commit_seconds": max(waits),
        "reads": reads,
        "lost_commits": lost,
    }


MEASURED: dict[str, Callable[[Path], dict[str, Any]]] = {
    "resume": resume, "report": report, "read": read, "read_and_write": read_and_write,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 where a limit is passed or a commit was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the run")
    parser.add_argument("--rows", type=common.positive, default=1_000_000, help="of candidates")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    parser.add_argument("--only", choices=MEASURED, help="one measurement of a run that is there, as JSON")
    options = parser.parse_args(arguments)
    run = options.workdir / f"run_{options.rows}"
    if options.only:
        print(json.dumps(MEASURED[options.only](run)))
        return 0
    built = options.workdir / f"built_{options.rows}.json"
    if not built.exists():
        shutil.rmtree(run, ignore_errors=True)
        common.write_json(built, build(run, options.rows))
    found = {"rows": options.rows, **json.loads(built.read_text())}
    for name in MEASURED:
        command = [
            sys.executable,
            "-m",
            "experiments.reliability.scale",
            f"--workdir={options.workdir}",
            f"--rows={options.rows}",
        ]
        done = subprocess.run([*command, f"--only={name}"], capture_output=True, text=True, check=False)
        found |= json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {name: done.stderr.strip()[-2000:]}
    found["over"] = [name for name, limit in LIMITS.items() if found.get(name, float("inf")) > limit]
    print(json.dumps(found, indent=2))
    if options.json:
        common.write_json(options.json, {"facts": common.facts(), **found})
    return int(bool(found["over"]) or found.get("lost_commits") != 0 or -1 in found.get("reads", [-1]))


if __name__ == "__main__":
    sys.exit(main())
