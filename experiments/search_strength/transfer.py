"""What searches found on one task, tuned and tested on another: a seed of a search is one sample.

    python -m experiments.search_strength.transfer --source FILE.json --found_on digits_long_tail_noisy \\
        --task cifar10_long_tail_noisy --seeds 10 --data_dir DIR --workdir DIR --json OUT.json

The losses are those in a file of `experiments.search_strength`, of its first seeds, whatever they are worth. They are tuned and
tested as the rivals of the other task are, on the same divisions and seeds; nothing is searched. A stopped command goes on
where it was.
"""

import argparse
import json
import pathlib

from experiments.benchmarks.common import facts, output_path, positive, write_json
from experiments.search_strength.run import compared, rivals
from experiments.search_strength.table import task_table
from experiments.search_strength.tasks import TASKS
from jaxloss.execution.settings import EXECUTION_MODES, SERIAL


def main() -> None:
    """Compares what is not compared yet, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, type=pathlib.Path, help="what the benchmark of searches wrote")
    parser.add_argument("--found_on", required=True, choices=TASKS, help="a task of that file")
    parser.add_argument("--search", default="strong", help="a search of that file")
    parser.add_argument("--task", required=True, choices=TASKS, help="where the losses are tuned and tested")
    parser.add_argument("--seeds", type=positive, default=10, help="of the search, the first ones of the file")
    parser.add_argument("--trainings", type=int, default=0, help="of the best rival's tuning; 0: as a search of the task has")
    parser.add_argument("--execution", choices=EXECUTION_MODES, default=SERIAL, help="vmap suits an accelerator")
    parser.add_argument("--data_dir", default="", help="folder of data files")
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="folder of the runs")
    parser.add_argument("--json", required=True, type=output_path)
    options = parser.parse_args()
    found = json.loads(options.source.read_text())["tasks"][options.found_on]["searches"][options.search][: options.seeds]
    rows = compared(options.task, [one["formula"] for one in found], "transferred", options)
    transferred = [{**row, "seed": one["seed"]} for row, one in zip(rows, found, strict=True)]
    searches = {f"found on {options.found_on}": transferred}
    result = {"rivals": rivals(options.task, options), "searches": searches, "curves": {}}
    write_json(options.json, {**facts(), "found_on": options.found_on, "tasks": {options.task: result}})
    print("\n".join(task_table(options.task, result)))


if __name__ == "__main__":
    main()
