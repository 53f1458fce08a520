"""The figures of the benchmark as a table and as a picture."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from jaxloss.study.statistics import Interval, crossed_interval, mean_interval

# Searches of one group, one after the other in the order of their seeds.
GROUP = 3


def task_table(name: str, of_task: Mapping[str, Any]) -> list[str]:
    """Lines of Markdown: each search over its seeds, and what it leads the rivals by."""
    rivals = sorted(of_task["rivals"], key=lambda rival: -rival["search_eval"])
    best = rivals[0]
    against = f"against {best['name']}"
    lines = [
        *(f"### {name}", ""),
        f"| loss | test | over | {against} | the same, over divisions, too | lowest seed |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {rival['name']}, tuned | {rival['test']:.4f} | | {rival['test'] - best['test']:+.4f} | | |" for rival in rivals]
    for search, seeds in of_task["searches"].items():
        tests = [seed["test"] for seed in seeds]
        interval, lead = mean_interval(tests), mean_interval([test - best["test"] for test in tests])
        crossed = over_divisions(seeds, best)
        lines.append(
            f"| {search} | {interval.mean:.4f} (deviation {interval.deviation:.4f}) | {len(tests)} seeds | {written(lead)} | "
            f"{written(crossed) if crossed else ''} | {min(tests):.4f} |"
        )
        if chosen := best_of_groups(seeds):
            tests = [seed["test"] for seed in chosen]
            lead, crossed = mean_interval([test - best["test"] for test in tests]), over_divisions(chosen, best)
            lines.append(
                f"| {search}, the best of {GROUP} by search_eval | {np.mean(tests):.4f} | {len(tests)} groups | "
                f"{written(lead)} | {written(crossed) if crossed else ''} | {min(tests):.4f} |"
            )
    names = list(of_task["searches"])
    lines += ["", *(f"{first} minus {second}: {written(paired(of_task['searches'], first, second))}"
                    for index, first in enumerate(names) for second in names[index + 1 :]), ""]  # fmt: skip
    return lines


def over_divisions(seeds: Sequence[Mapping[str, Any]], rival: Mapping[str, Any]) -> Interval | None:
    """By how much a search is above a rival, with an interval over search seeds *and* divisions of the data.

    All searches and rivals are on the same few divisions, of which an interval over search seeds alone knows nothing: it says
    what another search would find there, not on another division. Each pair of a search and a division is the mean of its
    trainings, paired by their seeds; pairs of one search share it, and pairs of one division, see `study.statistics`.

    Args:
      seeds: of a search, with `scores`, `[(division, seed, score)]`.
      rival: likewise.

    Returns:
      None where a search has no scores, or other divisions and seeds than the rival, and where there is one search alone, or one
      division, of whose likes nothing is known.
    """
    own = {(division, seed): score for division, seed, score in rival.get("scores", ())}
    differences = collections.defaultdict(list)
    for search in seeds:
        scores = search.get("scores") or ()
        if not scores or {(division, seed) for division, seed, _ in scores} != own.keys():
            return None
        for division, seed, score in scores:
            differences[division, search["seed"]].append(score - own[division, seed])
    if any(len(set(side)) < 2 for side in zip(*differences, strict=True)) or not differences:
        return None
    return crossed_interval({pair: float(np.mean(values)) for pair, values in differences.items()})


def best_of_groups(seeds: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What is found by whoever searches `GROUP` times and takes the best on search_eval; none of fewer than two groups."""
    groups = [seeds[first : first + GROUP] for first in range(0, len(seeds) - GROUP + 1, GROUP)]
    return [max(group, key=lambda seed: seed["search_eval"]) for group in groups] if len(groups) > 1 else []


def paired(searches: Mapping[str, Sequence[Mapping[str, Any]]], first: str, second: str) -> Interval:
    """By how much one search is above another, paired over the search seeds that both have."""
    sides = [{seed["seed"]: seed["test"] for seed in searches[name]} for name in (first, second)]
    return mean_interval([sides[0][seed] - sides[1][seed] for seed in sides[0] if seed in sides[1]])


def written(interval: Interval) -> str:
    """`+0.0123 [+0.0100, +0.0146]`; of one alone, which has no interval, `+0.0123`."""
    if interval.count < 2:
        return f"{interval.mean:+.4f}"
    return f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def write_picture(result: Mapping[str, Any], path: pathlib.Path) -> None:
    """A row a task: every seed of every search with its mean and interval beside the best rival, and the way there."""
    tasks = result["tasks"]
    figure, panels = plt.subplots(len(tasks), 2, figsize=(11, 3.4 * len(tasks)), squeeze=False)
    for (panel, beside), (name, of_task) in zip(panels, tasks.items(), strict=True):
        best = max(of_task["rivals"], key=lambda rival: rival["search_eval"])
        panel.axvline(best["test"], color="0.6", label=f"{best['name']}, tuned")
        _draw_curves(beside, of_task, best)
        for place, seeds in enumerate(of_task["searches"].values()):
            tests = [seed["test"] for seed in seeds]
            interval = mean_interval(tests)
            panel.plot(tests, np.full(len(tests), place), "o", color="C0", alpha=0.4, markersize=4)
            panel.plot([interval.low, interval.high], [place, place], color="C0", linewidth=2)
            panel.plot([interval.mean], [place], "D", color="C0")
        panel.set_yticks(range(len(of_task["searches"])), list(of_task["searches"]))
        panel.set_xlabel("score on the test split")
        panel.set_title(name)
        panel.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_curves(panel: Axes, of_task: Mapping[str, Any], best: Mapping[str, Any]) -> None:
    """The mean test score of what searches had found after so many trainings, as it is, with intervals over search seeds."""
    panel.axhline(best["test"], color="0.6")
    for place, (name, points) in enumerate(of_task["curves"].items()):
        by_trainings = collections.defaultdict(list)
        for point in points:
            by_trainings[point["trainings"]].append(point["test"])
        trainings = sorted(count for count, tests in by_trainings.items() if len(tests) > 1)
        intervals = [mean_interval(by_trainings[count]) for count in trainings]
        panel.plot(trainings, [one.mean for one in intervals], "o-", color=f"C{place}", label=name)
        panel.fill_between(
            trainings, [one.low for one in intervals], [one.high for one in intervals], color=f"C{place}", alpha=0.15
        )
    panel.set_xlabel("trainings spent")
    panel.set_ylabel("score on the test split, untuned")
    if any(of_task["curves"].values()):
        panel.legend(fontsize="small")
