"""The figures of the ablation as a table and as a picture."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

Row = Mapping[str, Any]


def lines_of(rows: Sequence[Row], seconds: float) -> list[str]:
    """A table in Markdown, a line for each variant: means over its seeds, and the least and greatest best score."""
    lines = [
        "| variant | losses looked at in an hour | trained in an hour | stopped by NaN | best score after equal time |",
        "|---|---|---|---|---|",
    ]
    for variant, runs in _by_variant(rows).items():
        an_hour = 3600 / seconds
        best = [_last(run) for run in runs]
        lines.append(
            f"| {variant} | {an_hour * _mean(runs, 'proposed'):,.0f} | {an_hour * _mean(runs, 'trainings'):.0f} | "
            f"{sum(run['stopped'] for run in runs)} of {sum(run['trainings'] for run in runs)} | "
            f"{np.mean(best):.4f} ({min(best):.4f} to {max(best):.4f}) |"
        )
        lost = [run["steps_not_done"] * run["seconds_a_step"] for run in runs]
        without = np.mean([seconds / (seconds + one) for one in lost])
        lines.append(f"| {variant}, if trainings went on after NaN | {an_hour * _mean(runs, 'proposed') * without:,.0f} | | | |")
    return lines


def write_picture(rows: Sequence[Row], seconds: float, path: pathlib.Path) -> None:
    """The best score over time, a line for each run and a colour for each variant."""
    figure, panel = plt.subplots(figsize=(7, 4))
    for number, (variant, runs) in enumerate(_by_variant(rows).items()):
        for index, run in enumerate(runs):
            points = [*run["best"], [seconds, _last(run)]]
            times, best = zip(*points, strict=True)
            panel.step(times, best, where="post", color=f"C{number}", alpha=0.8, label=variant if index == 0 else None)
    panel.set(xlabel="seconds", ylabel="best score on search_eval", xlim=(0, seconds), ylim=(0, None))
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _by_variant(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {
        variant: [row for row in rows if row["variant"] == variant] for variant in dict.fromkeys(row["variant"] for row in rows)
    }


def _mean(runs: Sequence[Row], name: str) -> float:
    return float(np.mean([run[name] for run in runs]))


def _last(run: Row) -> float:
    return run["best"][-1][1] if run["best"] else 0.0
