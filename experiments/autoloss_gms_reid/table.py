"""The tables of this folder's README, from the summary of a run.

    python -m experiments.autoloss_gms_reid.table RUN/summary.json --first 'found 1' --first arcface

Every loss with mAP and rank-1 on the test split, and for each `--first` (by default the first loss of the summary) its paired
differences from all others: mean and 95% interval over seeds and divisions of the data.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloss.study.statistics import Interval, crossed_interval

_SHOWN = ("mAP_step", "rank_1")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("summary", type=Path, help="summary.json of a run")
    parser.add_argument("--first", action="append", default=[], help="a loss by its name in the summary")
    options = parser.parse_args(arguments)
    rows = json.loads(options.summary.read_text())["comparison"]
    by_name = {row["name"]: row for row in rows}
    for name in options.first:
        if name not in by_name:
            parser.error(f"no loss '{name}' in {options.summary}; there are {', '.join(by_name)}")
    print("\n".join(_results(rows)))
    for name in options.first or [rows[0]["name"]]:
        print("\n" + "\n".join(_differences(by_name[name], rows)))


def _results(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| loss | mAP untuned | mAP tuned | rank-1 tuned | rate | hyper-parameters |", "|---|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: -row["tuned"]["test_mean"]):
        tuned, untuned = row["tuned"], row["untuned"]
        hyperparameters = ", ".join(f"{name} {value:.3g}" for name, value in tuned["hyperparameters"].items())
        cells = [_name(row), _spread(untuned, "mAP_step"), *(_spread(tuned, name) for name in _SHOWN)]
        lines.append("| " + " | ".join([*cells, f"{tuned['learning_rate']:.3g}", hyperparameters]) + " |")
    return lines


def _differences(first: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [f"| {_name(first)} minus | mAP | rank-1 |", "|---|---|---|"]
    for row in rows:
        if row is not first:
            cells = [_interval(_difference(first["tuned"], row["tuned"], name)) for name in _SHOWN]
            lines.append("| " + " | ".join([_name(row), *cells]) + " |")
    return lines


def _difference(first: Mapping[str, Any], second: Mapping[str, Any], name: str) -> Interval:
    if [pair[:2] for pair in first["scores"]] != [pair[:2] for pair in second["scores"]]:
        raise ValueError("a paired difference needs the same splits and seeds on both sides")
    pairs = zip(_scores(first, name).items(), _scores(second, name).values(), strict=True)
    return crossed_interval({pair: one - other for (pair, one), other in pairs})


def _scores(result: Mapping[str, Any], name: str) -> dict[tuple[int, int], float]:
    """`(division, seed) -> score`."""
    pairs = [(division, seed) for division, seed, _ in result["scores"]]
    return dict(zip(pairs, result["test_scores"][name], strict=True))


def _name(row: Mapping[str, Any]) -> str:
    formula = row.get("decimal")
    named = row["name"] if row["name"] != row["formula"] else "given"
    return f"{named}: `{formula}`" if formula else named.replace("_", " ")


def _spread(result: Mapping[str, Any], name: str) -> str:
    interval = crossed_interval(_scores(result, name))
    return f"{interval.mean:.4f} ± {(interval.high - interval.low) / 2:.4f}"


def _interval(interval: Interval) -> str:
    return f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


if __name__ == "__main__":
    main()
