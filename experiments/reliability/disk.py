"""What a bad disk does to a run: full at every write, refused at every file, odd names, a clock set back, copies while it runs.

    python -m experiments.reliability.disk --workdir DIR --json experiments/results/reliability_disk_cpu.json

Everything that a run stores is stored, without its trainings: config, rows, states, curves, a checkpoint, summary and report.
`full` gives it a file system in memory (root may mount one) of one size after the other up to what it needs; `refused` has the
system refuse one file after the other, as a disk that is full, over its quota, read-only or failing does. Each has to end in one
line, and to end as an undisturbed run once the same is stored again with room. Exit code 1 where something ends otherwise.
"""

import argparse
import contextlib
import datetime
import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from experiments.benchmarks import common
from experiments.reliability.__main__ import content
from experiments.reliability.events import watch
from experiments.reliability.scale import CONFIG, rows_of
from jaxloss.core.errors import UserError
from jaxloss.report.page import write_report
from jaxloss.runs import RunDirectory
from jaxloss.runs.metrics import metric_line
from tests.report.finished_run import summary_of

_SEARCH = "evolution"
_PROPOSALS, _DRAWS = 4, 3
# Bytes by which the file systems grow.
_STEP = 4096
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES)
NAMES = ("with space", "line\nbreak", "Ω 数据 данные", "%20?#&;'\"$(x)", "-dash", "n" * 200)
FORMULAS = ("Neg(Mul(target, Log(prediction)))",)


def store(path: Path) -> None:
    """Stores all that a run stores, or the rest of it."""
    with RunDirectory.open(path, CONFIG) as run:
        begun = (run.archive.state(_SEARCH) or {"counts": {"trained": 0}})["counts"]["trained"]
        for proposal in range(begun, _PROPOSALS):
            candidates, trainings = rows_of(proposal, FORMULAS, _DRAWS)
            trained = proposal + 1
            counts = {"proposed": 9 * trained, "rejected": {"no_metric_gain": 2 * trained}, "equivalent": 0, "trained": trained,
                      "trainings": trained, "stopped_by_nan": 0}  # fmt: skip
            state = {_SEARCH: {"counts": counts, "pending": [], "seconds": {}}}
            line = metric_line(trained, {"score": trainings[0].score})
            run.archive.commit(candidates, trainings, state, [line])
            run.metrics.write(line)
        run.checkpoints.save("best_network", {"kernel": np.arange(3000.0)})
        run.write_summary(summary_of("search"))
    write_report(path)


def try_to_store(path: Path) -> str:
    """How an attempt ends: '' where everything is stored, the one line of a user's mistake, or what is wrong."""
    try:
        store(path)
    except UserError as error:
        return str(error) if "\n" not in str(error) else f"WRONG: more than a line: {error}"
    except Exception as error:  # whatever it is, it is what we look for
        return f"WRONG: {type(error).__name__}: {error}"
    return ""


class Listener:
    """Hears of every event below a folder, for whoever asks: nobody can take an audit hook off again."""

    def __init__(self, folder: Path):
        self.tell: Callable[[str], None] | None = None
        watch(folder, self._happened)

    def _happened(self, event: str) -> None:
        if self.tell is not None:
            self.tell(event)

    @contextlib.contextmanager
    def telling(self, happened: Callable[[str], None]) -> Iterator[None]:
        """Tells of the events inside of the block."""
        self.tell = happened
        try:
            yield
        finally:
            self.tell = None


# --- full --------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def file_system(path: Path, size: int) -> Iterator[None]:
    """A file system of so many bytes in memory."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def full(folder: Path, expected: dict[str, str], listener: Listener) -> Iterator[tuple[str, str]]:
    """Size after size, until everything has room."""
    del listener
    size = _STEP
    while True:
        with file_system(folder / "full", size):
            said = try_to_store(folder / "full" / "run")
            # Where the very first file has no room there is no run that could go on.
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder / "full")], check=True)
            yield f"{size} bytes", judged(said, "make room on the disk", folder / "full" / "run", expected)
        if not said:
            return
        size += _STEP


def judged(said: str, wanted: str, path: Path, expected: dict[str, str]) -> str:
    """What is wrong with an attempt and with the next one, which nothing disturbs; '' where all is well."""
    if said.startswith("WRONG") or (said and wanted not in said):
        return said
    if again := try_to_store(path):
        return f"again: {again}"
    found = content(path)
    different = [part for part in expected if found[part] != expected[part]]
    return f"ends with other {', '.join(different)}" if different else ""


# --- refused -----------------------------------------------------------------------------------------------------------------


def refused(folder: Path, expected: dict[str, str], listener: Listener) -> Iterator[tuple[str, str]]:
    """One event after the other is refused, by `ERRORS` in turn; those of SQLite's own files are left to `full`."""
    for number in itertools.count(1):
        path, code, seen = folder / "run", ERRORS[number % len(ERRORS)], []
        shutil.rmtree(path, ignore_errors=True)

        def happened(event: str, seen: list[str] = seen, number: int = number, code: int = code) -> None:
            if event.startswith("commit"):
                return
            seen.append(event)
            if len(seen) == number:
                raise OSError(code, os.strerror(code), event)

        with listener.telling(happened):
            said = try_to_store(path)
        if len(seen) < number:
            return
        yield f"{errno.errorcode[code]} at {number}, {seen[number - 1]}", judged(said, "", path, expected)


# --- names, clocks and copies ------------------------------------------------------------------------------------------------


def names(folder: Path, expected: dict[str, str], listener: Listener) -> Iterator[tuple[str, str]]:
    """Directories with odd names, and one that is a symbolic link."""
    del listener
    for name in NAMES:
        path = folder / "names" / name
        yield f"directory {name[:20]!r}", judged(try_to_store(path), "nothing", path, expected)
    link, target = folder / "names" / "link", folder / "names" / "target"
    target.mkdir(parents=True)
    link.symlink_to(target, target_is_directory=True)
    yield "symbolic link", judged(try_to_store(link), "nothing", link, expected)
    shutil.rmtree(folder / "names")


def clock(folder: Path, expected: dict[str, str], listener: Listener) -> Iterator[tuple[str, str]]:
    """A clock that goes back by a day at every look."""
    del listener
    path, original, looks = folder / "clock", time.time, iter(range(10**9))
    time.time = lambda: original() - 86_400 * next(looks)
    try:
        said = try_to_store(path)
    finally:
        time.time = original
    yield "clock set back", judged(said, "nothing", path, expected)
    shutil.rmtree(path)


def copies(folder: Path, expected: dict[str, str], listener: Listener) -> Iterator[tuple[str, str]]:
    """A copy of the directory at every event; each of them opens, and goes on to the same end."""
    path, kept, made = folder / "run", folder / "kept", []
    shutil.rmtree(folder, ignore_errors=True)  # of a campaign that was stopped
    kept.mkdir(parents=True)

    def happened(event: str) -> None:
        made.append(event)
        if path.exists():
            subprocess.run(["cp", "-r", str(path), str(kept / f"{len(made):03}")], check=True)

    with listener.telling(happened):
        yield "the run that is copied", judged(try_to_store(path), "nothing", path, expected)
    for copy in sorted(kept.iterdir()):
        yield f"copy {copy.name}", judged(try_to_store(copy), "nothing", copy, expected)
    shutil.rmtree(kept)
    shutil.rmtree(path)


KINDS: dict[str, Callable[[Path, dict[str, str], Listener], Iterator[tuple[str, str]]]] = {
    "names": names, "clock": clock, "copies": copies, "full": full, "refused": refused,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 where something ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True, help="folder of what was done")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what is tried")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)
    options.workdir.mkdir(parents=True, exist_ok=True)
    done_file, whole = options.workdir / "disk.json", options.workdir / "whole"
    found = json.loads(done_file.read_text()) if done_file.exists() else {}
    shutil.rmtree(whole, ignore_errors=True)
    if said := try_to_store(whole):
        raise SystemExit(f"the undisturbed run failed: {said}")
    expected, listener = content(whole), Listener(options.workdir)
    for kind in options.kinds:
        if kind in found and not found[kind]["wrong"]:
            continue
        tried = list(KINDS[kind](options.workdir / kind, expected, listener))
        found[kind] = {"tried": len(tried), "wrong": {what: said for what, said in tried if said}}
        found[kind]["at"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        print(f"{kind}: {len(tried)} tried, {len(found[kind]['wrong'])} wrong", flush=True)
        common.write_json(done_file, found)
    for kind in found:
        for what, said in found[kind]["wrong"].items():
            print(f"  {kind}, {what}: {said}")
    if options.json:
        common.write_json(options.json, {"facts": common.facts(), **found})
    return int(any(one["wrong"] for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
