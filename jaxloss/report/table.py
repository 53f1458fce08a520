"""The outcome of a run on the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from jaxloss.report.headline import BEST_RIVAL, RANDOM_SEARCH, headline_of
from jaxloss.report.words import (
    MINUS,
    baseline_in_words,
    control_in_words,
    difference,
    edge_in_words,
    ended_in_words,
    half_width,
    hyperparameters,
    number,
    other_edges_in_words,
    reads_shorter,
    rival_in_words,
    score,
    short_formula,
    stopped_in_words,
    verdict_in_words,
)
from jaxloss.spaces.titles import loss_name

_WIDTH = 116  # of files and pipes
_NAME_WIDTH = 28


def print_summary(summary: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints the best loss, the comparison and the differences of a `summary.json`.

    Args:
      summary: of any mode.
      console: where to; by default standard output, 116 columns wide where it is no terminal.
    """
    console = console or standard_output()
    names = _short_names(summary.get("comparison", []))
    best = summary.get("best")
    _line(console, "")
    if warning := baseline_in_words(summary):
        _line(console, warning)
        _line(console, "")
    if best:
        test = f"{summary['metric']} on test {_interval(best, console)}"
        _line(console, f"Best found loss of {summary['task']} ({best['name']}): {test}")
        _formula(console, best)
    for text in judged_in_words(summary):
        _line(console, _ascii(text))
    if best or summary.get("differences"):
        _line(console, "")
    if summary.get("comparison"):
        console.print(_comparison(summary, names, console))
        if summary.get("also_shown"):
            console.print(_other_metrics(summary, names))
        _stopped(summary, names, console)
        _at_edges(summary, names, console)
    for name, value in summary.get("final_scores", {}).items():
        _line(console, f"{name} of the network that was kept: {_ascii(number(value))}")
    for row in summary.get("comparison", []):
        if row["formula"] and not (best and row["name"] == best["name"]):
            _line(console, f"{names[row['name']]}:")
            _formula(console, row)
    if summary.get("differences"):
        _line(console, "")
        first = names[summary["differences"][0]["first"]]
        _line(console, f"Tuned {first} minus each tuned rival, paired over seeds and divisions of the data, 95% interval:")
        console.print(_differences(summary, names))


def judged_in_words(summary: Mapping[str, Any]) -> Iterator[str]:
    """How the loss stands against the best tuned rival, and against random search."""
    judged = headline_of(summary)
    for name, words in ((BEST_RIVAL, rival_in_words), (RANDOM_SEARCH, control_in_words)):
        if (row := judged[name]) is not None:
            low, high = (difference(end) for end in row["ci95"])
            yield f"{words(row)}: {difference(row['mean'])} [{low}, {high}]"


def standard_output() -> Console:
    """The console that a run is shown on: as wide as the terminal, and 116 columns where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def _line(console: Console, text: str) -> None:
    console.print(Text(text))


def _formula(console: Console, row: Mapping[str, Any]) -> None:
    for text in _formula_lines(row):
        console.print(Padding(Text(text, overflow="fold"), (0, 0, 0, 4), expand=False))


def _formula_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """The formula, what is easier to read, and what is known of it; each line once."""
    yield row["formula"]
    short = short_formula(row)
    if short != row["formula"]:
        yield ("~ " if row.get("decimal") else "= ") + short
    if reads_shorter(row):
        yield f"without terms that do nothing here: {short_formula(row['minimal'])}"
    if row.get("alike"):
        known = loss_name(row["alike"])
        yield f"trains the network as {known} does, as the space can write it: the same gradients at its outputs"
    if row.get("merged", 1) > 1:
        yield f"merged: {row['merged']} formulas that were found are this loss"


def _short_names(rows: list[Mapping[str, Any]]) -> dict[str, str]:
    """Display names; a formula that serves as a name gets a letter, so that the table keeps its form."""
    letters = iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    names = {}
    for row in rows:
        name = loss_name(row["name"])
        is_long_formula = row["kind"] == "given" and len(name) > _NAME_WIDTH
        names[row["name"]] = f"loss {next(letters, '*')}" if is_long_formula else name
    return names


def _comparison(summary: Mapping[str, Any], names: Mapping[str, str], console: Console) -> Table:
    title = Text(f"{summary['metric']} on test, mean and 95% interval", style="table.title")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    tuned_too = summary["mode"] != "train"
    table.add_column("loss", overflow="fold", min_width=16)
    for heading in ("untuned", "tuned") if tuned_too else (summary["metric"],):
        table.add_column(Text(heading), no_wrap=True, min_width=15)
    table.add_column("rate", no_wrap=True, justify="right", min_width=6)
    table.add_column("hyper-parameters", overflow="fold")
    for row in _best_first(summary):
        results = (row["untuned"], row["tuned"]) if tuned_too else (row["tuned"],)
        cells, tuned = [_interval(result, console) for result in results], row["tuned"]
        cells += [number(tuned["learning_rate"]), hyperparameters(tuned["hyperparameters"])]
        table.add_row(Text(names[row["name"]]), *(Text(_ascii(cell)) for cell in cells))
    return table


def _best_first(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return sorted(summary["comparison"], key=lambda row: -row["tuned"]["test_mean"])


def _other_metrics(summary: Mapping[str, Any], names: Mapping[str, str]) -> Table:
    """A table of its own: beside the intervals, five more columns leave no room for the names of the losses."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="means of other metrics", title_justify="left")
    table.add_column("loss", overflow="fold", min_width=16)
    for name in summary["also_shown"]:
        table.add_column(Text(name.replace("_", " ")), justify="right", min_width=6)
    for row in _best_first(summary):
        means = row["tuned"].get("test_means", {})
        table.add_row(Text(names[row["name"]]), *(_ascii(score(means.get(name))) for name in summary["also_shown"]))
    return table


def _stopped(summary: Mapping[str, Any], names: Mapping[str, str], console: Console) -> None:
    """Says which means hold trainings that were stopped: a 0 alone would look like a loss that learns nothing."""
    kinds = ("untuned", "tuned") if summary["mode"] != "train" else ("tuned",)
    for row in summary["comparison"]:
        for kind in kinds:
            if words := stopped_in_words(row[kind]):
                which = f", {kind}" if len(kinds) > 1 else ""
                _line(console, f"{names[row['name']]}{which}: {words} or infinity, in the network or in its metric, and score 0")
        if words := ended_in_words(row["tuned"]):
            _line(console, f"{names[row['name']]}: {words} or infinity in all copies; their last good weights were tested")


def _at_edges(summary: Mapping[str, Any], names: Mapping[str, str], console: Console) -> None:
    """Says which tuned rates and hyper-parameters have none beyond them that was tried."""
    for row in summary["comparison"]:
        if words := edge_in_words(row["tuned"]):
            _line(console, f"{names[row['name']]}: its tuned rate is {words}")
        if words := other_edges_in_words(row["tuned"]):
            _line(console, f"{names[row['name']]}: its {words}")


def _differences(summary: Mapping[str, Any], names: Mapping[str, str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", min_width=16)
    table.add_column(no_wrap=True, min_width=7)
    table.add_column(no_wrap=True, min_width=20)
    table.add_column(overflow="fold")
    for row in summary["differences"]:
        low, high = (difference(end) for end in row["ci95"])
        cells = (difference(row["mean"]), f"[{low}, {high}]", verdict_in_words(row, summary["margin"]))
        table.add_row(Text(names[row["second"]]), *(Text(_ascii(cell)) for cell in cells))
    return table


def _interval(result: Mapping[str, Any], console: Console) -> str:
    sign = "±" if console.encoding.startswith("utf") else "+-"
    return f"{_ascii(score(result['test_mean']))} {sign} {half_width(result['test_ci95'])}"


def _ascii(text: str) -> str:
    """A number as other programs read it."""
    return text.replace(MINUS, "-").replace("–", "-")
