"""The table of this folder's README, from the summaries of several runs, a column for each.

    python -m experiments.am_lfs_classification.table RUN/summary.json ...

Test accuracy with its 95% interval, and below it what the network that was searched with has more than each other line, paired
over the seeds.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("summaries", type=Path, nargs="+", help="summary.json of a run")
    summaries = [json.loads(path.read_text()) for path in parser.parse_args(arguments).summaries]
    names = list(dict.fromkeys(row["name"] for summary in summaries for row in summary["comparison"]))
    print("\n".join(table(names, summaries, _score)))
    print("\n" + "\n".join(table(names[1:], summaries, _difference)))


def table(names: Sequence[str], summaries: Sequence[Mapping[str, Any]], cell: Any) -> list[str]:
    """Lines of a table with a row for each name and a column for each run."""
    heads = [summary["task"] for summary in summaries]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    return lines + [f"| {name} | {' | '.join(cell(name, summary) for summary in summaries)} |" for name in names]


def _score(name: str, summary: Mapping[str, Any]) -> str:
    row = next((row for row in summary["comparison"] if row["name"] == name), None)
    if row is None:
        return "-"
    tuned = row["tuned"]
    low, high = tuned["test_ci95"]
    return f"{tuned['test_mean']:.4f} ± {(high - low) / 2:.4f} ({tuned['learning_rate']:.3g})"


def _difference(name: str, summary: Mapping[str, Any]) -> str:
    row = next((row for row in summary["differences"] if row["second"] == name), None)
    return "-" if row is None else f"{row['mean']:+.4f} [{row['ci95'][0]:+.4f}, {row['ci95'][1]:+.4f}]"


if __name__ == "__main__":
    main()
