"""Does the promising-loss chooser pay for itself, and how well does its predictor order losses that it has not seen?

    python -m experiments.autoloss_gms_reid.chooser --data_dir=DIR --workdir=DIR --json FILE.json

The same search with and without the chooser, with the same number of trainings, over several seeds, on the Omniglot task at half
its resolution with trainings of a second. Both are judged by their best losses, trained again on fresh seeds. The rank
correlation is taken in the searches without the chooser, where nothing was selected: the predictor is fitted on the first
trainings, as the chooser would, and asked about those that follow up to the next fit.
"""

import argparse
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.benchmarks.common import facts, output_path, positive, run, write_json
from jaxloss.cli.progress import ConsoleProgress
from jaxloss.config import MAY_CHANGE
from jaxloss.config.file import apply_overrides, load_config
from jaxloss.config.plan import make_plan
from jaxloss.config.schema import read
from jaxloss.runs import RunDirectory
from jaxloss.search.loop import SearchLoop
from jaxloss.study.contender import FOUND
from jaxloss.study.experiment import Experiment
from jaxloss.systems.autoloss_gms.predictor.features import curve_features
from jaxloss.systems.autoloss_gms.predictor.predictor import fit, predict
from jaxloss.systems.autoloss_gms.predictor.ranking import rank_correlation
from jaxloss.systems.autoloss_gms.properties import CurveFilter
from jaxloss.systems.autoloss_gms.settings import ChooserSettings, PredictorSettings, PropertySettings

_CONFIG = pathlib.Path(__file__).parents[2] / "configs" / "autoloss_gms_omniglot.py"
_PROXY = {"task.retrieval.image_size": "(14, 14)", "training.num_epochs": "3.0", "comparison.rank_seeds": "4"}


def main() -> None:
    """Runs the searches, or takes up those that are in the work directory, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", default="", help="folder of omniglot_7alphabets.npz")
    parser.add_argument("--workdir", required=True, help="folder of the runs")
    parser.add_argument("--trainings", type=positive, default=300)
    parser.add_argument("--seeds", type=positive, default=3)
    parser.add_argument("--start_after", type=positive, default=100, help="trainings before the predictor is fitted (E_0)")
    parser.add_argument("--update_every", type=positive, default=100, help="trainings between two fits (Delta E)")
    parser.add_argument("--json", required=True, type=output_path)
    options = parser.parse_args()
    numbers = {name: getattr(options, name) for name in ("trainings", "start_after", "update_every")}
    result: dict[str, Any] = {**facts(), **numbers, "rows": []}
    for seed in range(options.seeds):
        for chooser in (True, False):
            result["rows"].append(_one_search(options, seed, chooser))
            print(result["rows"][-1], flush=True)
    result["difference"] = _difference(result["rows"])
    write_json(options.json, result)


def _one_search(options: argparse.Namespace, seed: int, chooser: bool) -> dict[str, Any]:
    config = load_config(str(_CONFIG))
    overrides = {
        "seed": seed,
        "search.num_trainings": options.trainings,
        "search.chooser.enabled": str(chooser).lower(),
        "search.chooser.start_after": options.start_after,
        "search.chooser.update_every": options.update_every,
    }
    apply_overrides(config, {**_PROXY, "data_dir": options.data_dir, **{key: str(value) for key, value in overrides.items()}})
    plan = make_plan(config)
    workdir = pathlib.Path(options.workdir) / f"seed{seed}_{'with' if chooser else 'without'}"
    with RunDirectory.open(str(workdir), plan.config.to_dict(), MAY_CHANGE) as directory:
        experiment = Experiment(plan, directory, ConsoleProgress(quiet=True))
        try:
            loop = experiment.search(config.search.name)
            ranked = experiment.rank(loop, FOUND, "rank")
        finally:
            experiment.close()
    row = {
        "seed": seed,
        "chooser": chooser,
        "best_single_score": next(loop.search.best()).score,
        "best_on_fresh_seeds": ranked[0].score,
        "mean_of_leaders_on_fresh_seeds": statistics.mean(one.score for one in ranked),
        "mean_single_score_once_chosen": _mean_once_chosen(loop, options.start_after),
        "seconds": {name: round(value, 1) for name, value in loop.seconds.items()},
        "proposed": loop.counts.proposed,
    }
    return row if chooser else {**row, "rank_correlation": _correlations(plan, loop)}


def _mean_once_chosen(loop: SearchLoop, start_after: int) -> float:
    """The mean score of the trainings after the first `start_after`; one that met NaN or infinity scores 0."""
    scores = [one.score or 0.0 for one in loop.search.individuals if one.trained]
    return statistics.mean(scores[start_after:])


def _correlations(plan, loop: SearchLoop) -> list[dict[str, Any]]:
    """Of predictions and scores, for the trainings between one fit and the next."""
    settings, network = read(plan.config, ChooserSettings), read(plan.config, PredictorSettings)
    trained = [one for one in loop.search.individuals if one.trained]
    (branch,) = plan.space.branches
    losses = [plan.space.parse(one.text)[branch.name] for one in trained]
    curves = CurveFilter(branch.form, PropertySettings()).curves(losses)
    features = curve_features(curves[:, 0], curves[:, 1], np.array([loss.log2_scale for loss in losses]))
    scores = [one.score for one in trained]
    rows = []
    for first in range(settings.start_after, len(trained), settings.update_every):
        unseen = slice(first, first + settings.update_every)
        known = [index for index in range(*unseen.indices(len(trained))) if scores[index] is not None]
        state = fit(network, features[:first], scores[:first], plan.config.seed)
        found = rank_correlation(predict(state, features[known]), [scores[index] for index in known])
        rows.append({"fitted_on": first, "unseen": len(known), **found})
    return rows


def _difference(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """With minus without the chooser, by seed."""

    def by_seed(key: str) -> list[float]:
        found = {(row["seed"], row["chooser"]): row[key] for row in rows}
        return [found[seed, True] - found[seed, False] for seed in sorted({row["seed"] for row in rows})]

    keys = ("best_on_fresh_seeds", "mean_of_leaders_on_fresh_seeds", "mean_single_score_once_chosen")
    return {key: by_seed(key) for key in keys}


if __name__ == "__main__":
    run(main)
