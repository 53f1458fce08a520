"""Random and mutated losses of every operator set, through all that is done with a loss before a network is trained.

    python -m experiments.reliability.graphs --workdir DIR --part texts --number 1000000 --json OUT.json

Parts: `texts` writes, reads, encodes and decodes, and takes keys and canonical forms; `values` compares the forms in which a
loss is computed; `filters` asks the filters in other company and on other threads. A second process with another PYTHONHASHSEED
does a part of the chunks again, and has to find the same. Chunks that were done stay done: the same command goes on. Exit code 1
where something does not hold.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks import common

REPOSITORY = Path(__file__).parents[2]
HASH_SEEDS = (1, 2)
# Part -> losses of a chunk, and the spaces that it is for: the reference of the values knows the published reading of S-curves.
CHUNKS = {"texts": 2000, "values": 500, "filters": 1000}
_UNKNOWN_TO_THE_REFERENCE = ("cse_autoloss output", "cse_autoloss plain")
# Of the losses of a chunk; each is a compilation of its own.
COMPILED = 10
# The second process does one chunk in so many.
AGAIN = 5
SHOWN = 20


def spaces_of(part: str, names: Sequence[str]) -> list[str]:
    """The spaces that a part is for."""
    return [name for name in names if part != "values" or name not in _UNKNOWN_TO_THE_REFERENCE]


def work(part: str, number: int, seed: int, first: int) -> Iterator[dict[str, Any]]:
    """Does chunks in turn, of one space after the other, beginning with the chunk `first`; a line each."""
    import resource

    import jax

    jax.config.update("jax_enable_x64", part == "values")
    from experiments.reliability.drawing import SPACES

    names, size = spaces_of(part, list(SPACES)), CHUNKS[part]
    for chunk in range(first, -(-number // size)):
        name = names[chunk % len(names)]
        row = {"chunk": chunk, "space": name, **_check(part, name, seed, chunk // len(names), size)}
        with open("/proc/self/statm") as file:
            row["mebibytes"] = int(file.read().split()[1]) * resource.getpagesize() / 2**20
        yield row


def _check(part: str, name: str, seed: int, number: int, size: int) -> dict[str, Any]:
    if part == "values":
        from experiments.reliability.value_checks import check_values

        checked = check_values(name, seed, number, size, COMPILED)
        return {"losses": checked.graphs, "compiled": COMPILED, "apart": checked.apart, "wrong": checked.wrong, "digest": ""}
    if part == "texts":
        from experiments.reliability.text_checks import check_texts as check
    else:
        from experiments.reliability.filter_checks import check_filters as check
    digest, wrong = check(name, seed, number, size)
    return {"losses": size, "wrong": wrong, "digest": digest}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """What a worker has done; a line that it was killed in counts for nothing."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    if len(rows) < len(lines):
        path.write_text("".join(lines[: len(rows)]))
    return rows


def summary(part: str, by_seed: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """What came of a part: counts, what did not hold, chunks that two processes found different, and the growth of memory."""
    first = next(iter(by_seed.values()))
    digests = [{row["chunk"]: row["digest"] for row in rows} for rows in by_seed.values()]
    common_chunks = set.intersection(*(set(found) for found in digests))
    different = sorted(chunk for chunk in common_chunks if len({found[chunk] for found in digests}) > 1)
    spaces: dict[str, int] = {}
    for row in first:
        spaces[row["space"]] = spaces.get(row["space"], 0) + row["losses"]
    wrong = [problem for rows in by_seed.values() for row in rows for problem in row["wrong"]]
    return {
        "part": part,
        "losses": sum(spaces.values()),
        "in_both_processes": sum(row["losses"] for row in first if row["chunk"] in common_chunks),
        "by_space": spaces,
        "compiled": sum(row.get("compiled", 0) for row in first),
        "differences_by_rounding": sum(row.get("apart", 0) for row in first),
        "wrong": len(wrong),
        "wrong_ones": wrong[:SHOWN],
        "chunks_that_differ_between_processes": different,
        "memory": [memory(rows) for rows in by_seed.values() if rows],
    }


def memory(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """MiB of a process at a quarter of its chunks, when everything is compiled, and at the end."""
    return {"at_a_quarter": rows[len(rows) // 4]["mebibytes"], "at_the_end": rows[-1]["mebibytes"], "chunks": len(rows)}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True, help="folder of what was done")
    parser.add_argument("--part", choices=CHUNKS, required=True, help="what is checked")
    parser.add_argument("--number", type=common.positive, default=10_000, help="of losses")
    parser.add_argument(
        "--seconds", type=common.positive, default=86_400, help="of each process, after which no further chunk is begun"
    )
    parser.add_argument("--seed", type=common.whole, default=0, help="of the draws")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        return _worker(options)
    options.workdir.mkdir(parents=True, exist_ok=True)
    files = {seed: options.workdir / f"{options.part}.{options.seed}.{seed}.jsonl" for seed in HASH_SEEDS}
    # One behind the other: on a machine of few cores each takes its time from the other.
    own = [sys.executable, "-m", "experiments.reliability.graphs", *(sys.argv[1:] if arguments is None else arguments)]
    codes = []
    for index, (seed, path) in enumerate(files.items()):
        number = options.number if index == 0 else max(1, options.number // AGAIN)
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": str(seed)}
        command = [*own, "--worker", str(path), "--number", str(number)]
        codes.append(subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode)
    found = summary(options.part, {seed: read_rows(path) for seed, path in files.items()})
    found["crashes"] = sum(code != 0 for code in codes)
    print(json.dumps(found, indent=2))
    if options.json:
        common.write_json(options.json, {"facts": common.facts(), **found})
    return int(bool(found["wrong"] or found["chunks_that_differ_between_processes"] or found["crashes"]))


def _worker(options: argparse.Namespace) -> int:
    end, done = time.monotonic() + options.seconds, len(read_rows(options.worker))
    with options.worker.open("a") as file:
        for row in work(options.part, options.number, options.seed, done):
            file.write(json.dumps(row) + "\n")
            file.flush()
            if time.monotonic() > end:
                break
    return 0


if __name__ == "__main__":
    sys.exit(main())
