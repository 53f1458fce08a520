"""What searches found on one task, tuned and tested on another: a seed of a search is one sample.

    python -m experiments.search_strength.transfer --source FILE.json --found_on digits_long_tail_noisy \\
        --task cifar10_long_tail_noisy --seeds 10 --data_dir DIR --workdir DIR --json OUT.json

The losses are those in a file of `experiments.search_strength`, of its first seeds, whatever they are worth. They are tuned and
tested as the rivals of the other task are, on the same divisions and seeds; nothing is searched. A stopped command goes on
where it was.
"""

import argparse
import pathlib
from typing import Any

from experiments.benchmarks.common import facts, output_path, positive, whole, write_json
from experiments.search_strength.run import compared, rivals
from experiments.search_strength.table import task_table
from experiments.search_strength.tasks import TASKS
from jaxloss.core.errors import UserError
from jaxloss.execution.settings import EXECUTION_MODES, SERIAL
from jaxloss.runs.files import read_json


def main() -> None:
    """Compares what is not compared yet, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=pathlib.Path, help="what the benchmark of searches wrote")
    parser.add_argument("--found_on", required=True, choices=TASKS, help="a task of that file")
    parser.add_argument("--search", default="strong", help="a search of that file")
    parser.add_argument("--task", required=True, choices=TASKS, help="where the losses are tuned and tested")
    parser.add_argument("--seeds", type=positive, default=10, help="of the search, the first ones of the file")
    parser.add_argument("--trainings", type=whole, default=0, help="of the best rival's tuning; 0: as a search of the task has")
    parser.add_argument("--execution", choices=EXECUTION_MODES, default=SERIAL, help="vmap suits an accelerator")
    parser.add_argument("--data_dir", default="", help="folder of data files")
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="folder of the runs")
    parser.add_argument("--json", required=True, type=output_path)
    options = parser.parse_args()
    try:
        _run(options)
    except UserError as error:
        parser.exit(2, f"error: {error}\n")


def _run(options: argparse.Namespace) -> None:
    found = _found(options.source, options.found_on, options.search)[: options.seeds]
    # Two searches may have found one loss.
    formulas = list(dict.fromkeys(one["formula"] for one in found))
    rows = dict(zip(formulas, compared(options.task, formulas, "transferred", options), strict=True))
    transferred = [{**rows[one["formula"]], "seed": one["seed"]} for one in found]
    searches = {f"found on {options.found_on}": transferred}
    result = {"rivals": rivals(options.task, options), "searches": searches, "curves": {}}
    write_json(options.json, {**facts(), "found_on": options.found_on, "tasks": {options.task: result}})
    print("\n".join(task_table(options.task, result)))


def _found(path: pathlib.Path, task: str, search: str) -> list[dict[str, Any]]:
    """What the seeds of a search found, as the benchmark of searches wrote it."""
    tasks = read_json(path, dict, "give what the benchmark of searches wrote").get("tasks", {})
    searches = tasks.get(task, {}).get("searches", {})
    if not searches.get(search):
        there = ", ".join(f"{search} on {task}" for task, of_task in tasks.items() for search in of_task.get("searches", {}))
        raise UserError(f"--source {path} has no search {search} on {task}; there is {there or 'none'}")
    return searches[search]


if __name__ == "__main__":
    main()
