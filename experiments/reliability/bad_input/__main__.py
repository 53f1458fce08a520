"""Carries out every mistake of `cases/`, and shows which of them are not answered by one line.

    python -m experiments.reliability.bad_input --json experiments/results/bad_input_cpu.json

Each has to end with one line that names what is wrong, exit code 2 (or a `UserError`), and nothing half written. Exit code 1
where one does not.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.benchmarks import common
from experiments.reliability.bad_input import files
from experiments.reliability.bad_input.check import Checker, read_cases
from jaxloss import launch


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 where a mistake has another answer than one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="groups that begin so, such as data or config.values")
    parser.add_argument("--json", type=common.output_path, help="file to write")
    options = parser.parse_args(arguments)
    cases = [case for case in read_cases() if case.group.startswith(options.only)]
    began, found = time.monotonic(), Counter()
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        data, run, new = (Path(folder) / name for name in ("data", "run", "new"))
        data.mkdir(), new.mkdir()
        files.write_all(data)
        if any(case.needs_run for case in cases):
            launch.main(["--config=tests/configs/tiny.py", f"--workdir={run}"])
        checker = Checker(new, data, run)
        for case in cases:
            found[case.group] += 1
            if answer := checker.wrong(case):
                wrong.append({"group": case.group, "call": case.call, "says": case.says, "answer": answer})
                print(f"{case.group}: {' '.join(case.call)}\n    wanted: {case.says}\n    {answer}", flush=True)
    failed = Counter(row["group"] for row in wrong)
    for group, number in found.items():
        print(f"{group:22} {number - failed[group]:4} of {number:4}")
    print(f"{len(cases) - len(wrong)} of {len(cases)} mistakes end in one line, in {time.monotonic() - began:.0f} s")
    if options.json:
        groups = {group: {"mistakes": number, "wrong": failed[group]} for group, number in found.items()}
        common.write_json(options.json, {"facts": common.facts(), "groups": groups, "wrong": wrong})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
