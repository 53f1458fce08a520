"""How results look in a notebook: HTML with formulas that it typesets."""

import html
from collections.abc import Mapping, Sequence
from typing import Any


def results_html(path: str, summary: Mapping[str, Any] | None, ranking: Sequence[Mapping[str, Any]]) -> str:
    """The best loss and the table of a run; of an unfinished one, its best losses so far.

    Args:
      path: of the run.
      summary: what came out; None where it is unfinished.
      ranking: the losses of its search, best first.
    """
    if summary is None:
        rows = [(_code(row["formula"]), _number(row.get("search_eval"))) for row in ranking[:10]]
        return f"<p>{_text(path)}: unfinished</p>" + _table(("loss", "score in the search"), rows)
    best = summary.get("best") or {}
    latex = best.get("latex")
    title = f"<p><b>{_text(best.get('name', ''))}</b> of {_text(summary.get('task', ''))}</p>"
    formula = f"<p>$\\displaystyle {html.escape(latex, quote=False)}$</p>" if latex else ""
    rows = [
        (_text(row["name"]), _code(row.get("simplified") or ""), _with_interval(row.get("tuned")), _rate(row.get("tuned")))
        for row in summary.get("comparison", ())
    ]
    table = _table(("loss", "formula", f"{summary.get('metric', 'score')} on test", "rate"), rows) if rows else ""
    return title + formula + table


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"<tr>{''.join(f'<th>{_text(cell)}</th>' for cell in head)}</tr>"]
    lines += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _text(value: Any) -> str:
    return html.escape(str(value))


def _code(value: Any) -> str:
    return f"<code>{_text(value)}</code>" if value else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _with_interval(result: Mapping[str, Any] | None) -> str:
    mean, interval = ((result or {}).get(key) for key in ("test_mean", "test_ci95"))
    half = None if not interval or None in interval else (interval[1] - interval[0]) / 2
    return _number(mean) + ("" if half is None else f" &plusmn; {_number(half)}")


def _rate(result: Mapping[str, Any] | None) -> str:
    rate = (result or {}).get("learning_rate")
    return "" if rate is None else f"{rate:.3g}"
