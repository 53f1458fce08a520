"""The section of the page that says what the found loss does: the numbers of the summary in words, and their figures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxloss.report.diagnosis_figures import rates_figure, ratio_figure, slope_figure, weight_figure
from jaxloss.report.formula_svg import formula_svg
from jaxloss.report.rates import AS_GOOD, TUNING, rate_curves
from jaxloss.report.words import number, score
from jaxloss.runs.directory import Run

_PROBABILITY = "probability"
# Nearer to an end of probabilities than a training comes in float32.
_AT_END = 1e-11
# Factors within a hundredth of 1 are 1.
_SAME = 0.01
_OF_KIND = {
    _PROBABILITY: "as the true class becomes more probable",
    "cosine": "as the cosine to the own class grows",
    "error": "as the error gets less",
}


def diagnosis_section(run: Run, summary: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the template draws; None for a run that is unfinished, or whose summary says nothing of it.

    Args:
      run: whose archive holds the tuning.
      summary: of it.

    Returns:
      `names` of the losses, one or two; `rows`, (title, cell for each loss); `figures`, with their titles; `missing`, sentences
      on what there is not; `constant`, a sentence on factors; `ablation`, a table, or None; `rates`, a figure and rows, or None.
    """
    if summary is None:
        return None
    losses, ablation, rates = summary.get("diagnosis", []), summary.get("ablation"), _rates(run, summary)
    if not losses and ablation is None and rates is None:
        return None
    return {
        "names": [one["name"] for one in losses],
        "rows": _rows(losses),
        "figures": _figures(losses),
        "missing": _missing(losses, ablation),
        "constant": constant_in_words(run.config.get("training", {})),
        "ablation": _ablation(ablation),
        "rates": rates,
    }


def constant_in_words(training: Mapping[str, Any]) -> str:
    """What multiplying a loss by a constant would change; `training` is that section of a run's config."""
    if training.get("loss_scale") == "unit_gradient":
        return "A constant factor would change nothing: every loss is scaled so that its first gradient has the norm one."
    decays = "; the weight decay, which is added to the gradient, would weigh less beside a larger one"
    clipped = "; the bound on the gradient’s norm would be reached earlier by a larger one"
    further = decays * bool(training.get("weight_decay")) + clipped * bool(training.get("clip_norm"))
    if training.get("optimiser") == "adam":
        return f"A constant factor would change next to nothing: Adam divides it out{further}."
    return f"A constant factor would be one of the learning rate{further}."


def _rows(losses: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[list[str]]]]:
    """(title, for each loss its lines), those that no loss has anything for left out."""
    titles: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
        "runs away": _runaways,
        "poles, were every ε 0": _poles,
        "falls": _courses,
        "gradient by the logits": _largest,
        "against cross-entropy": _against,
        "other samples in the batch": _across,
        "a batch twice as large": lambda one: _factors(one["scale"], "batch_value", "batch_gradient", "gradient of a sample"),
        "twice as many classes": lambda one: _factors(
            one["scale"], "classes_value", "classes_gradient", "pull on the true class"
        ),
    }
    rows = [(title, [lines(one) for one in losses]) for title, lines in titles.items()]
    return [(title, cells) for title, cells in rows if any(cells)]


def _branch(one: Mapping[str, Any], branch: str) -> str:
    return f"{branch}: " if len(one["sweeps"]) > 1 else ""


def _runaways(one: Mapping[str, Any]) -> list[str]:
    lines = []
    for sweep in one["sweeps"]:
        found = [
            f"{what.replace('1e+06', 'a million')} {_where(sweep['kind'], low, high)}" for what, low, high in sweep["runaways"]
        ]
        lines += [_branch(one, sweep["branch"]) + ("; ".join(found) or "nowhere: value and gradient stay below a million")]
    return lines


def _where(kind: str, low: float, high: float) -> str:
    if kind == _PROBABILITY and low <= _AT_END and high >= 1 - _AT_END:
        return "at every probability"
    if kind == _PROBABILITY and low <= _AT_END:
        return f"for probabilities below {_point(kind, high)}" if high > _AT_END else "for a probability of 0"
    if kind == _PROBABILITY and high >= 1 - _AT_END:
        return f"for probabilities above {_point(kind, low)}" if low < 1 - _AT_END else "for a probability of 1"
    return f"at {_point(kind, low)}" if low == high else f"from {_point(kind, low)} to {_point(kind, high)}"


def _point(kind: str, x: float) -> str:
    """Of a probability near 1 what counts is how near."""
    return f"1 − {1 - x:.2g}" if kind == _PROBABILITY and 0.995 < x < 1 else number(float(f"{x:.2g}"))


def _poles(one: Mapping[str, Any]) -> list[str]:
    poles = one["poles"]
    if poles is None:
        return []
    several = len({formula for formula, *_ in poles["points"]}) > 1
    points = [f"{f'{formula}: ' * several}{what} at {where}" for formula, what, where in poles["points"]]
    note = [f"SymPy did not finish: {poles['note']}"] if poles["note"] else []
    return [*(points or ([] if note else ["none"])), *note]


def _courses(one: Mapping[str, Any]) -> list[str]:
    lines = []
    for sweep in one["sweeps"]:
        kind, courses = sweep["kind"], sweep["courses"]
        spans = {
            name: ", ".join(f"{_point(kind, low)} to {_point(kind, high)}" for low, high in courses[name]) for name in courses
        }
        if not any(spans.values()):
            text = "nowhere: it has no finite slope"
        elif not spans["as it should"] and not spans["the wrong way"]:
            text = "hardly changes at all"
        elif not spans["the wrong way"] and not spans["flat"]:
            text = f"everywhere {_OF_KIND[kind]}"
        else:
            text = f"{_OF_KIND[kind]}: {spans['as it should'] or 'nowhere'}"
            text += f"; rises: {spans['the wrong way']}" * bool(spans["the wrong way"])
            text += f"; flat: {spans['flat']}" * bool(spans["flat"])
        lines.append(_branch(one, sweep["branch"]) + text)
    return lines


def _largest(one: Mapping[str, Any]) -> list[str]:
    return [
        f"{_branch(one, sweep['branch'])}at most {sweep['largest_by_logits']:.2g}"
        for sweep in one["sweeps"]
        if sweep["largest_by_logits"] is not None
    ]


def _against(one: Mapping[str, Any]) -> list[str]:
    samples = one["samples"]
    if samples is None or samples["against"] is None:
        return []
    share, lines = samples["against"], []
    if share == 0:
        lines.append(f"a step goes the same way on all of {samples['number']} made-up samples")
    else:
        lines.append(f"on {share:.0%} of {samples['number']} made-up samples a step makes the true class less probable")
    if samples["not_finite"]:
        lines.append(f"no finite gradient on {samples['not_finite']} of them")
    return lines


def _across(one: Mapping[str, Any]) -> list[str]:
    change = one["scale"]["others"]
    if one["looks_across"] is None and change is None:
        return []
    if one["looks_across"] is False or (change is not None and change < 1e-6):
        return ["change nothing"]
    if change is None:
        return ["may matter: it may look across the batch"]
    return [f"matter: other samples beside it change the gradient of one by {change:.0%} in the median"]


def _factors(scale: Mapping[str, float | None], value: str, gradient: str, what: str) -> list[str]:
    factors = [(name, scale[key]) for name, key in (("value", value), (what, gradient)) if scale[key] is not None]
    if not factors:
        return []
    if all(abs(factor - 1) < _SAME for _, factor in factors):
        return ["changes nothing"]
    return [", ".join(f"{name} × {factor:.3g}" for name, factor in factors)]


def _figures(losses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of the branches of the first loss, beside those of its rival that have the same axis."""
    found = []
    for place, sweep in enumerate(losses[0]["sweeps"] if losses else ()):
        same = [
            one
            for rival in losses[1:]
            for one in rival["sweeps"]
            if (one["branch"], one["kind"]) == (sweep["branch"], sweep["kind"])
        ]
        sweeps, words = [sweep, *same], {"names": [one["name"] for one in losses[: 1 + len(same)]], "branch": sweep["branch"]}
        if sweep["kind"] == _PROBABILITY:
            samples = losses[0]["samples"]
            titles = (
                "size of the gradient by the logits",
                "the same over cross-entropy’s" + ", dots: made-up samples" * (samples is not None),
            )
            drawn = (weight_figure(f"weight{place}", sweeps), ratio_figure(f"ratio{place}", sweeps, samples))
            found += [
                {**words, "title": title, "figure": figure, "dotted": True} for title, figure in zip(titles, drawn, strict=True)
            ]
        else:
            found.append({**words, "title": "slope", "figure": slope_figure(f"slope{place}", sweeps), "dotted": False})
    return (
        found
        if len(losses and losses[0]["sweeps"]) < 2
        else [{**one, "title": f"{one['branch']}: {one['title']}"} for one in found]
    )


def _missing(losses: Sequence[Mapping[str, Any]], ablation: Mapping[str, Any] | None) -> list[str]:
    """What the section lacks, and why."""
    sentences = []
    if losses and not losses[0]["has_outputs"]:
        sentences.append("This task makes up no outputs of a network (output_samples), on which the loss could be looked at.")
    elif losses and losses[0]["without_axis"]:
        named = " and ".join(losses[0]["without_axis"])
        sentences.append(
            f"Of {named} nothing is drawn: its losses read neither the probability of a class, nor a cosine, nor an error."
        )
    if losses and losses[0]["formula"] and losses[0]["poles"] is None:
        sentences.append(
            "The losses of this space are no formulas: SymPy has no poles to look for, and there are no terms to leave out."
        )
    elif losses and losses[0]["formula"] and ablation is None:
        sentences.append(
            "Which of its terms does the work, trainings without each of them say: the same command with "
            "--config.comparison.term_ablation=true."
        )
    return sentences


def _ablation(ablation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if ablation is None:
        return None
    rows = [
        {
            "math": formula_svg(row["latex"], row["term"]),
            "term": row["term"],
            "formula": row["formula"],
            "why": row["why"],
            **(
                {}
                if row["why"]
                else {"mean": row["mean"], "ci95": row["ci95"], "words": _verdict(row), "test_mean": row["test_mean"]}
            ),
        }
        for row in ablation["rows"]
    ]
    trained = sorted((row for row in rows if not row["why"]), key=lambda row: row["mean"])
    return {"name": ablation["name"], "pairs": ablation["pairs"], "rows": [*trained, *(row for row in rows if row["why"])]}


def _verdict(row: Mapping[str, Any]) -> str:
    low, high = row["ci95"]
    return "does work" if high < 0 else "does harm" if low > 0 else "no difference seen"


def _rates(run: Run, summary: Mapping[str, Any]) -> dict[str, Any] | None:
    curves = rate_curves(run.archive.trainings(TUNING), summary)
    if not curves:
        return None
    rows = [
        {
            "name": curve.name,
            "role": curve.role,
            "best": score(max(value for _, value in curve.best)),
            "rates": " to ".join(number(rate) for rate in dict.fromkeys(curve.as_good)),
            "factor": number(float(f"{curve.as_good[1] / curve.as_good[0]:.2g}")),
        }
        for curve in curves
    ]
    return {"figure": rates_figure(curves, summary["metric"]), "rows": rows, "as_good": number(AS_GOOD)}
