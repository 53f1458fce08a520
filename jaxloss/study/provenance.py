"""How a loss of a run was found, and what it is worth, in lines for the head of a file."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jaxloss.spaces.base import Space
from jaxloss.study.contender import FOUND, RANDOM_SEARCH
from jaxloss.study.judged import against_best_rival


def provenance(
    space: Space,
    workdir: str | Path,
    place: str,
    entry: Mapping[str, Any],
    summary: Mapping[str, Any] | None,
    meanings: Mapping[str, Mapping[str, str]],
    inputs: Mapping[str, Collection[str]] | None = None,
) -> str:
    """The lines.

    Args:
      space: of the run.
      workdir: its directory.
      place: of the loss among those of the run: `rank 1 of 3`, or its name there.
      entry: the loss in the ranking.
      summary: of the run; None where it is unfinished. Those of earlier versions lack some of what is read.
      meanings: see `Task.meanings`.
      inputs: branch -> names of the arrays that the loss reads; None where they are those of the space.
    """
    by_hand = entry["formula"] is None
    origin = "Found by jaxloss" if entry.get("kind", FOUND) in (FOUND, RANDOM_SEARCH) else "A loss"
    if by_hand:
        lines = [f"A hand-crafted loss: {place} in the run '{Path(workdir).name}'."]
    else:
        lines = [f"{origin} in the space {space.name}: {place} in the run '{Path(workdir).name}'."]
    if summary and "task" in summary:
        lines.append(f"Task: {summary['task']}, {summary['metric']}.")
    # A loss that was not trained again has the single score of the search only.
    for key, words in (("search_eval", "mean score on search_eval"), ("search_score", "score in the search")):
        if isinstance(entry.get(key), (int, float)):
            lines.append(f"{words.capitalize()}: {entry[key]:.6g}.")
    lines += _on_test(entry, summary or {})
    if (tuned := entry.get("tuned")) and entry.get("search_eval", 0) is not None:
        values = {"learning_rate": tuned["learning_rate"], **tuned["hyperparameters"]}
        words = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        below = "What stands below is the loss with these numbers." if by_hand else "What stands below is the loss before that."
        lines.append(f"Tuned for the comparison of that run: {words}. {below}")
    lines += [] if by_hand else of_its_class(entry)
    if len(space.branches) > 1:
        lines.append("Branch weights: " + ", ".join(f"{branch.name} {branch.weight:g}" for branch in space.branches) + ".")
    reads = inputs or {branch.name: branch.form.inputs for branch in space.branches}
    return "\n".join([*lines, *_inputs(reads, meanings)])


def of_its_class(entry: Mapping[str, Any]) -> list[str]:
    """What the run says of other formulas of the same loss; nothing where an earlier version wrote its summary."""
    lines = []
    if minimal := entry.get("minimal"):
        lines.append(f"Without terms that do nothing on the task of that run: {minimal['formula']} = {minimal['simplified']}")
    if entry.get("merged", 1) > 1:
        lines.append(f"Merged: {entry['merged']} formulas that were found are this loss on that task.")
    if entry.get("trained", entry["formula"]) != entry["formula"]:
        lines.append(f"The scores are those of {entry['trained']}, which is the same loss there.")
    return lines


def _on_test(entry: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    """Its line in the comparison, and what was made of it."""
    row = next((one for one in summary.get("comparison", []) if _is_of(one, entry)), None)
    if row is None:
        return []
    tuned = row["tuned"]
    low, high = tuned["test_ci95"]
    # A loss that a run only trains with is as it was given.
    words = "On the test split" if tuned.get("search_eval", 0) is None else "On the test split, tuned"
    lines = [f"{words}: {tuned['test_mean']:.4f}, 95% interval {low:.4f} to {high:.4f}."]
    if rival := against_best_rival(summary, row["name"]):
        low, high = rival["ci95"]
        difference = f"{rival['mean']:+.4f}, interval {low:+.4f} to {high:+.4f}"
        is_best, verdict = "is the best tuned rival of what was found, and ", rival["verdict"]
        beside = f"{is_best}{verdict} the next one" if rival["is_best_rival"] else f"{verdict} the best tuned rival"
        lines.append(f"It {beside}, {rival['second']}: {difference}.")
    return lines


def _is_of(row: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Whether a line of the comparison is that of a loss; one without a formula is told by its name."""
    return row["formula"] == entry["formula"] and (entry["formula"] is not None or row["name"] == entry["name"])


def _inputs(reads: Mapping[str, Collection[str]], meanings: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = []
    for branch, names in reads.items():
        known = meanings.get(branch, {})
        lines += [f"{name}: {known[name]}." for name in names if name in known]
    return ["", "What goes in:", *lines] if lines else []
