"""A run on the terminal while it works: the best so far, where the draws went, the course of each search, and the time left."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from jaxloss.report.curves import SearchCurve, search_curve
from jaxloss.report.funnel import Funnel, make_funnel
from jaxloss.report.leaders import leading_rows
from jaxloss.report.searches import searches_of
from jaxloss.report.table import judged_in_words
from jaxloss.report.timing import Look, Pace, look_at
from jaxloss.report.words import big_number, duration, score
from jaxloss.runs.declared import FILTERS, DeclaredFilter
from jaxloss.runs.directory import Run, is_at_work
from jaxloss.runs.rows import WHOLE
from jaxloss.spaces.titles import loss_name

BLOCKS, PLAIN = "▁▂▃▄▅▆▇█", "._-=+*#@"
_MOST_LEADERS = 8
# Score of a leader -> heading of its column, and what it is.
_SCORES = {"search_score": ("search", "search"), "search_eval": ("fresh", "fresh seeds")}
# Of such a column, and of the spaces and lines beside each of the columns of the leaders.
_SCORE_WIDTH, _BETWEEN = 6, 3
_MOST_SPARKS, _MOST_BAR = 60, 30
_MODES = {
    "search": "loss search",
    "compare": "comparison of losses",
    "train": "training with one loss",
    "lockstep": "loss learned while training",
}


def frame(run: Run, pace: Pace, now: float, console: Console) -> RenderableType:
    """What the archive holds now, for a console.

    Args:
      run: opened for reading; another process may be writing it.
      pace: of this run, over all frames.
      now: see `Pace.seconds_left`.
      console: where it is to be shown; one of another encoding than UTF gets ASCII alone.
    """
    plain, width = not console.encoding.startswith("utf"), console.width
    summary, (searches, controls) = run.read_summary(), searches_of(run)
    parts: list[RenderableType] = [Rule(f"{run.path.absolute().name}: {_MODES.get(run.config.get('mode'), 'run')}", align="left")]
    parts.append(Text(_how_far(look_at(run), pace, now, summary is not None)))
    if summary is None and not is_at_work(run.path):
        parts.append(Text("stopped: no process is at work on it; the command of the run goes on", style="bold"))
    if summary is not None:
        parts += [Text(_plain(text) if plain else text) for text in judged_in_words(summary)]
    candidates = {name: run.archive.candidates(search=name, branch=WHOLE) for name in searches | controls}
    rows = leading_rows(run, summary, [row for name in searches for row in candidates[name]])
    if rows:
        parts += [Text(""), *_best(rows[0], summary)]
    curves = [search_curve(name, found, 1, name in controls) for name, found in candidates.items()]
    if any(curve is not None for curve in curves):
        parts += [Text(""), _courses([curve for curve in curves if curve is not None], plain, width)]
    filters = [DeclaredFilter.from_json(stored) for stored in run.archive.state(FILTERS) or []]
    for name, counts in searches.items():
        if (funnel := make_funnel(counts, filters)) is not None:
            parts += [Text(""), _funnel(name, funnel, plain, width)]
    if len(rows) > 1:
        parts += [Text(""), _leaders(rows[:_MOST_LEADERS], plain, width)]
    return Group(*parts)


def sparkline(values: Sequence[float], width: int, blocks: str = BLOCKS) -> str:
    """Values as one line of blocks, the least the lowest; several that share a place show the last of them.

    Args:
      values: in order; NaN, before there is any, is a space.
      width: of the line, at most.
      blocks: from low to high.
    """
    finite = [value for value in values if not math.isnan(value)]
    if not finite:
        return ""
    low, span = min(finite), max(finite) - min(finite)
    places = min(width, len(values))
    shown = [values[(place + 1) * len(values) // places - 1] for place in range(places)]
    top = len(blocks) - 1
    return "".join(" " if math.isnan(value) else blocks[round(top * (value - low) / span) if span else top] for value in shown)


def _how_far(look: Look, pace: Pace, now: float, is_finished: bool) -> str:
    if is_finished:
        return f"finished, after {big_number(look.trainings)} trainings and {duration(look.seconds)}"
    if not look.stage:
        return "nothing is trained yet"
    planned = f" of {big_number(look.stage_planned)}" if look.stage_planned else ""
    text = f"{loss_name(look.stage)}: {big_number(look.stage_done)}{planned} trainings"
    left = pace.seconds_left(look, now)
    return text + (f"; {look.done / look.planned:.0%} of the whole run, about {duration(left)} left" if left is not None else "")


def _best(row: Mapping[str, Any], summary: Mapping[str, Any] | None) -> Iterator[RenderableType]:
    if summary is None:
        fresh = "" if row["search_eval"] is None else f"{score(row['search_eval'])} on fresh seeds, "
        yield Text(f"best so far: {fresh}{score(row['search_score'])} in the search", style="bold")
    else:
        best = summary.get("best")
        yield Text(f"best: {summary['metric']} {score(best['test_mean'])} on test" if best else "first loss", style="bold")
    yield Padding(Text(row["formula"], overflow="fold"), (0, 0, 0, 4), expand=False)


def _courses(curves: Sequence[SearchCurve], plain: bool, width: int) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow=_cut(plain), no_wrap=True)
    names = [f"best of {curve.name}" for curve in curves]
    # Beside the name and what it reached.
    room = max(8, min(_MOST_SPARKS, width - max(map(len, names)) - 22))
    for name, curve in zip(names, curves, strict=True):
        line = sparkline(curve.best, room, PLAIN if plain else BLOCKS)
        ends = [value for value in curve.best if not math.isnan(value)]
        reach = f"{score(ends[0])} to {score(ends[-1])}" if ends else "no score yet"
        table.add_row(name, Text(line, style="yellow" if curve.is_control else "cyan"), _plain(reach))
    return table


def _funnel(name: str, funnel: Funnel, plain: bool, width: int) -> Table:
    title = f"where the draws of {loss_name(name)} went, on a logarithmic scale"
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    titles, counts = (
        max(map(len, texts)) for texts in zip(*((bar.title, big_number(bar.count)) for bar in funnel.bars), strict=True)
    )
    length = max(8, min(_MOST_BAR, (width - titles - counts) // 3))
    # The last has what is left beside two spaces behind each; else the widest column would squeeze out the others.
    left = max(1, width - titles - counts - length - 6)
    for room, justify in ((titles, "left"), (counts, "right"), (length, "left"), (left, "left")):
        table.add_column(overflow=_cut(plain), no_wrap=True, width=room, justify=justify)
    for bar in funnel.bars:
        lost = f"-{big_number(bar.losses[0][0])} {bar.losses[0][1]}" if bar.losses else ""
        drawn = Text(("#" if plain else "█") * round(length * bar.percent / 100), style="cyan")
        table.add_row(bar.title, big_number(bar.count), drawn, Text(lost, style="dim"))
    return table


def _leaders(rows: Sequence[Mapping[str, Any]], plain: bool, width: int) -> Table:
    # What no loss has yet is left out: the scores on fresh seeds until the search is done, those of the search without one.
    known = [(key, heading) for key, heading in _SCORES.items() if any(row[key] is not None for row in rows)]
    by = f", by {' and '.join(words for _, (_, words) in known)}" if known else ""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"the best losses{by}", title_justify="left")
    for heading, room in (("", 2), *((heading, _SCORE_WIDTH) for _, (heading, _) in known)):
        table.add_column(heading, justify="right", no_wrap=True, width=room)
    taken = 2 + len(known) * _SCORE_WIDTH + _BETWEEN * (len(known) + 2)
    table.add_column("loss", overflow=_cut(plain), no_wrap=True, width=max(1, width - taken))
    for row in rows:
        scores = ("" if row[key] is None else _plain(score(row[key])) for key, _ in known)
        table.add_row(str(row["rank"]), *scores, Text(row["formula"]))
    return table


def _cut(plain: bool) -> str:
    """What becomes of a text that does not fit."""
    return "crop" if plain else "ellipsis"


def _plain(text: str) -> str:
    """Minus signs and dashes that every encoding has."""
    return text.replace("\N{MINUS SIGN}", "-").replace("–", "-")
