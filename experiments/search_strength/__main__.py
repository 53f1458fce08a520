"""How strong is a search? Many seeds of each, at equal numbers of trainings, against rivals that were tuned as long.

    python -m experiments.search_strength --tasks digits_70 --searches scored random_scored --seeds 10 --workdir DIR --json FILE

A stopped command goes on where it was. Each seed of a search is a run of its own in the work directory, as `jaxloss.launch` makes
it; what it found is tuned and tested on the same divisions and seeds as the rivals. Intervals are over the seeds of the search:
trainings, divisions and tuned losses of one search are one sample of it. The test images are the same for all.
"""

import argparse
import pathlib

from experiments.benchmarks.common import facts, output_path, positive, whole, write_json
from experiments.search_strength.processes import in_processes
from experiments.search_strength.run import one_search, rivals
from experiments.search_strength.searches import SEARCHES
from experiments.search_strength.table import task_table, write_picture
from experiments.search_strength.tasks import TASKS
from jaxloss.core.errors import UserError
from jaxloss.execution.settings import EXECUTION_MODES, SERIAL
from jaxloss.runs.files import read_json


def main() -> None:
    """Runs what is missing, and writes the figures after each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["digits_70"])
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=["strong"])
    parser.add_argument("--seeds", type=positive, default=10, help="of each search, counted from --first_seed")
    parser.add_argument("--first_seed", type=whole, default=0)
    parser.add_argument("--trainings", type=whole, default=0, help="of each search; 0: as the config of the task says")
    parser.add_argument(
        "--curve", nargs="*", type=positive, default=[], help="test the best loss after so many trainings, going up, too"
    )
    parser.add_argument("--parallel", type=positive, default=1, help="searches side by side, each on a core of its own")
    parser.add_argument("--execution", choices=EXECUTION_MODES, default=SERIAL, help="vmap suits an accelerator")
    parser.add_argument("--data_dir", default="", help="folder of data files")
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="folder of the runs")
    parser.add_argument("--json", required=True, type=output_path)
    options = parser.parse_args()
    # Twice the same search would be twice as many seeds, and an interval that is too narrow.
    options.tasks, options.searches = (list(dict.fromkeys(names)) for names in (options.tasks, options.searches))
    if options.curve != sorted(set(options.curve)):
        parser.error(f"--curve needs numbers that go up, not {' '.join(map(str, options.curve))}")
    if options.curve and (several := [search for search in options.searches if "search.restarts" in SEARCHES[search]]):
        parser.error(f"--curve follows one search, and {several[0]} is several")
    try:
        _run(options)
    except UserError as error:
        parser.exit(2, f"error: {error}\n")


def _run(options: argparse.Namespace) -> None:
    known = _known_seconds(options.json)
    result = {**facts(), "tasks": {}}
    for name in options.tasks:
        # Seed by seed, so that whoever stops it early has all searches over fewer seeds.
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        each = [(one_search, (name, search, seed, options)) for seed in seeds for search in options.searches]
        results = in_processes([(rivals, (name, options)), *each], options.parallel)
        of_task = result["tasks"][name] = {
            "rivals": next(results),
            "searches": {search: [] for search in options.searches},
            "curves": {search: [] for search in options.searches},
        }
        for search, found, points in results:
            if found["processor_seconds"] is None:
                found["processor_seconds"] = known.get((name, search, found["seed"], found["formula"]))
            of_task["searches"][search].append(found)
            of_task["curves"][search] += points
            write_json(options.json, result)
        print("\n".join(task_table(name, of_task)), flush=True)
    write_picture(result, options.json.with_suffix(".png"))


def _known_seconds(path: pathlib.Path) -> dict[tuple[str, str, int, str], float]:
    """Task, search, seed and what was found -> processor seconds that an earlier command wrote."""
    tasks = read_json(path, dict, "give another --json").get("tasks", {}) if path.exists() else {}
    return {
        (task, search, found["seed"], found["formula"]): found["processor_seconds"]
        for task, of_task in tasks.items()
        for search, seeds in of_task["searches"].items()
        for found in seeds
        if found.get("processor_seconds") is not None
    }


if __name__ == "__main__":
    main()
