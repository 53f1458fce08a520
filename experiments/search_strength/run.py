"""Carries the runs of the benchmark out, or reads those that are there."""

import argparse
import collections
import hashlib
import math
import pathlib
import resource
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ml_collections

import jaxloss
from experiments.search_strength.searches import SEARCHES
from experiments.search_strength.tasks import TASKS, StrengthTask
from jaxloss.cli.progress import ConsoleProgress
from jaxloss.config.check import acts, asked_by
from jaxloss.config.drawn import drawn_config
from jaxloss.config.file import load_config
from jaxloss.config.going_on import values_of_the_run
from jaxloss.config.schema import keys
from jaxloss.core.errors import UserError
from jaxloss.runs import json_text
from jaxloss.runs.files import has_summary
from jaxloss.runs.stored_config import flatten

_ALIKE = {"search.control": "false", "comparison.handcrafted": "()"}
_AT_THE_RATE_OF_THE_CONFIG = {"search.calibration_trainings": "0"}


def one_search(
    task: str, search: str, seed: int, options: argparse.Namespace
) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """The search's name, what it found, and what it had found after so many trainings where that is asked for."""
    found = searched(task, search, seed, options)
    return search, found, incumbents(task, search, seed, options) if options.curve else []


def searched(task: str, search: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One search from one seed, to the test of what it found."""
    overrides = overrides_of(task, search, seed, options.trainings)
    summary, seconds = _run(TASKS[task], overrides, f"{task}/{search}/{seed}", options)
    # Of the found losses, the one that the tuning chose by search_eval.
    (best,) = (row for row in summary["comparison"] if row["name"] == summary["best"]["name"])
    return {
        "seed": seed,
        "formula": best["formula"],
        "simplified": best.get("simplified"),
        "rate": best["tuned"]["learning_rate"],
        "search_eval": best["tuned"]["search_eval"],
        "test": best["tuned"]["test_mean"],
        "untuned": best["untuned"]["test_mean"],
        "scores": best["tuned"]["scores"],
        "trainings": summary["counts"]["trainings"],
        "processor_seconds": seconds,
    }


def overrides_of(task: str, search: str, seed: int, num_trainings: int = 0) -> dict[str, str]:
    """What a search from one seed changes in the config of its task: dotted key -> text.

    The data are those of the rivals, whatever the seed; `num_trainings` of 0 leaves the budget to the task.
    """
    one, changes = TASKS[task], dict(SEARCHES[search])
    if "search.calibration_trainings" in changes or "search.preset" in changes:
        changes |= {"search.calibration_loss": one.calibration_loss} if one.calibration_loss else _AT_THE_RATE_OF_THE_CONFIG
    # Random search is the control itself.
    alike = {key: value for key, value in _ALIKE.items() if key != "search.control" or "search.name" not in changes}
    alike |= _of_seed_0(one)
    # Its divisions are named.
    own = {key: value for key, value in one.overrides.items() if key != "comparison.num_divisions"}
    trainings = {"search.num_trainings": str(num_trainings)} if num_trainings else {}
    return {**own, **one.searches, **alike, **trainings, **changes, "seed": str(seed)}


def incumbents(task: str, search: str, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The best loss after so many trainings of a search that has run, as it is, on the test split; see `--curve`."""
    place = f"{task}/{search}/{seed}"
    found = jaxloss.open_run(options.workdir / place)
    name = found.config["search"]["name"]
    rows = found.trainings()
    of_search, spent = rows.query("stage == @name"), sum(rows["stage"] == "calibrate")
    trainings = collections.Counter(hyperparameters["proposal"] for hyperparameters in of_search["hyperparameters"])
    (rate,) = of_search["learning_rate"].unique()
    best, points = None, []
    for row in found.candidates().query("search == @name and training and branch == '*'").to_dict("records"):
        spent += trainings[row["proposal"]]
        rank = (trainings[row["proposal"]], row["score"])
        # As the search has it: one with more trainings was among the best of those with fewer.
        if not math.isnan(row["score"]) and (best is None or rank > (trainings[best["proposal"]], best["score"])):
            best = row
        # The incumbent as soon as so many are spent.
        while best and len(points) < len(options.curve) and spent >= options.curve[len(points)]:
            points.append({"seed": seed, "trainings": options.curve[len(points)], "formula": best["formula"]})
    one = TASKS[task]
    for point in points:
        changes = {
            "mode": "train",
            "loss": point["formula"],
            "training.learning_rate": repr(float(rate)),
        }
        # Of the rest of the search and of the comparison, one training knows nothing.
        known = {**one.overrides, **one.searches}.items()
        task_keys = {key: value for key, value in known if key.split(".")[0] in ("task", "training", "space")}
        name = f"{place}_after/{hashlib.blake2b(point['formula'].encode(), digest_size=6).hexdigest()}"
        summary, _ = _run(one, {**task_keys, **_of_seed_0(one), **changes}, name, options)
        point["test"] = summary["comparison"][0]["untuned"]["test_mean"]
    return points


def _of_seed_0(task: StrengthTask) -> dict[str, str]:
    """What follows from the seed of a run, and has to be the same for every seed of a search, and for the rivals: the data.

    Divisions, wrong labels, which images of a class a long tail leaves, and with which seeds losses are compared.
    """
    given = load_config(task.config, task.overrides)
    asked = asked_by(given)
    before, drawn = (flatten(one.to_dict()) for one in (given, drawn_config(given)))
    parts = (f"task.{given.task.name}.", "comparison.")
    changed = (key for key in drawn if drawn[key] != before[key] and key.startswith(parts))
    return {key: repr(drawn[key]) for key in changed if acts(keys()[key], asked)}


def rivals(task: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The hand-crafted losses, tuned alike, and the best of them tuned with as many trainings as a search."""
    one = TASKS[task]
    longer = options.trainings or load_config(one.config, {**one.overrides, **one.searches}).search.num_trainings
    return compared(task, one.rivals, "rivals", options, longer)


def compared(task: str, losses: Sequence[str], name: str, options: argparse.Namespace, longer: int = 0) -> list[dict[str, Any]]:
    """Losses, tuned alike and tested, in their order, and the best of them tuned with `longer` trainings where that is not 0."""
    one = TASKS[task]
    changes = {"mode": "compare", "losses": repr(tuple(losses)), "comparison.best_rival_trainings": str(longer)}
    space = {key: value for key, value in one.searches.items() if key.startswith("space.")}
    summary, _ = _run(one, {**one.overrides, **space, **changes}, f"{task}/{name}", options)
    return [
        {
            "name": row["name"],
            "formula": row["formula"],
            "test": row["tuned"]["test_mean"],
            "search_eval": row["tuned"]["search_eval"],
            "scores": row["tuned"]["scores"],
        }
        for row in summary["comparison"]
    ]


def _run(
    task: StrengthTask, overrides: Mapping[str, str], place: str, options: argparse.Namespace
) -> tuple[Mapping[str, Any], float | None]:
    """The summary of a run, and the processor seconds that it took; None where it, or a part of it, was there."""
    path = options.workdir / place
    data = {"data_dir": options.data_dir} if task.needs_data and options.data_dir else {}
    alike = {"execution.mode": options.execution, "quiet": "true"}
    config = load_config(task.config, {**overrides, **alike, **data})
    changed = _changed(config, overrides, path)
    if changed and config.mode == "search":
        raise UserError(f"the search in {path} was made with {changed}: give another --workdir")
    if not changed and has_summary(path):
        return jaxloss.open_run(path).summary, None
    was_there = path.exists()
    before = _processor_seconds()
    results = jaxloss.run(config, path, ConsoleProgress(quiet=True))
    # Those of a command that was stopped in the middle are not known.
    return results.summary, None if was_there else _processor_seconds() - before


def _changed(config: ml_collections.ConfigDict, names: Iterable[str], path: pathlib.Path) -> str:
    """The first of the keys in which a run that is there differs from what is asked for, in words; empty where none does.

    A figure of other trainings, or of other divisions, is not to be passed off as the one that is asked for.
    """
    stored, asked = values_of_the_run(config, path), flatten(json_text.loads(json_text.dumps(config.to_dict())))
    for key in names if stored else ():
        if stored.get(key) != asked.get(key):
            return f"{key}={stored.get(key)}, not {asked.get(key)}"
    return ""


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
