"""Numbers and names as the report and the terminal write them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.spaces.titles import A_SEED, loss_name

MINUS = "\N{MINUS SIGN}"

# How the intervals of a summary were made, and what is to be said of them.
INTERVALS = (
    "Intervals take trainings on one division of the data as related, and trainings from one seed; with a single division they "
    "say nothing of others."
)
FORMER_INTERVALS = (
    "An earlier version made these intervals, which took all trainings as independent: over several divisions of the data they "
    "are too narrow."
)
ONE_TEST_SET = "The test images are one sample for all: no interval says how scores would change with other images."


def score(value: float | None) -> str:
    """`0.9541`; a dash where there is none."""
    return "–" if value is None or value != value else _with_minus(f"{value:.4f}")


def difference(value: float) -> str:
    """`+0.0123`."""
    return _with_minus(f"{value:+.4f}")


def half_width(interval: Sequence[float]) -> str:
    """Half of a symmetric interval, as it stands behind `±`."""
    return f"{(interval[1] - interval[0]) / 2:.4f}"


def deviation(value: float) -> str:
    """A standard deviation, as it stands behind `±`."""
    return f"{value:.4f}"


def number(value: Any) -> str:
    """A setting, short: `0.0316`, `3e-05`; other values as they are."""
    return _with_minus(f"{value:.3g}") if isinstance(value, float) else str(value)


def big_number(value: int) -> str:
    """`12,345`."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """`48 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def hyperparameters(values: Mapping[str, Any]) -> str:
    """`alpha 0.1, beta 1`, without the learning rate, which has a place of its own."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items() if name != "learning_rate")


def stopped_in_words(result: Mapping[str, Any]) -> str:
    """`2 of 10 trainings met NaN` where trainings of a result were stopped, which then score 0; nothing otherwise."""
    stopped = result.get("stopped_by_nan", 0)
    return f"{stopped} of {len(result['scores'])} trainings met NaN" if stopped else ""


def ended_in_words(result: Mapping[str, Any]) -> str:
    """`2 of 5 searches ended early with NaN` where networks of a result have their last good weights; nothing otherwise."""
    ended = result.get("ended_early", 0)
    return f"{ended} of {len(result['scores'])} searches ended early with NaN" if ended else ""


def verdict_in_words(row: Mapping[str, Any], margin: float) -> str:
    """What the interval of a difference allows to say."""
    if row["verdict"] == "leads":
        return "leads"
    if row["verdict"] == "ties":
        return f"ties; {'not' if row['not_behind'] else 'perhaps'} behind by more than {number(margin)}"
    return f"is behind, {'not' if row['not_behind'] else 'perhaps'} by more than {number(margin)}"


def rival_in_words(row: Mapping[str, Any]) -> str:
    """The difference to the best tuned rival as a heading; only an interval above zero is a lead."""
    rival = f"the best tuned rival, {loss_name(row['second'])}"
    return {"leads": f"ahead of {rival}", "ties": f"tied with {rival}", "is behind": f"behind {rival}"}[row["verdict"]]


def chosen_in_words(row: Mapping[str, Any]) -> str:
    """Where the best loss of a search comes from: one that people wrote is no discovery."""
    if row["name"].endswith(A_SEED):
        return "A loss that the search began with: it found none that the tuning would choose before it, by search_eval alone"
    return "The loss that the search found and the tuning chose, by search_eval alone"


def control_in_words(row: Mapping[str, Any]) -> str:
    """The difference to the best loss of random search as a heading."""
    control = row.get("control", "the best of random search")
    return {"leads": f"above {control}", "ties": f"tied with {control}", "is behind": f"behind {control}"}[row["verdict"]]


def edge_in_words(result: Mapping[str, Any]) -> str:
    """`at the upper edge of the rates tried`, where a better rate may lie beyond; nothing otherwise."""
    return f"at the {result['edge']} edge of the rates tried" if result.get("edge") else ""


def other_edges_in_words(result: Mapping[str, Any]) -> str:
    """`q is the lowest that was tried`, where a better value of a hyper-parameter may lie beyond; nothing otherwise."""
    extremes = {"lower": "lowest", "upper": "highest"}
    return ", ".join(f"{name} is the {extremes[edge]} that was tried" for name, edge in result.get("other_edges", {}).items())


def short_formula(row: Mapping[str, Any]) -> str:
    """A loss as it is easiest to read: with its constants computed, else simplified, else as it was found."""
    return row.get("decimal") or row.get("simplified") or row["formula"]


def reads_shorter(row: Mapping[str, Any]) -> bool:
    """Whether a loss has a form without the terms that do nothing, and it is shorter to read: not in the digits of a constant."""
    minimal = row.get("minimal")
    return bool(minimal) and len(short_formula(minimal)) < len(short_formula(row))


# Of what a network learns with the first loss of the run.
_LITTLE = 0.1


def baseline_in_words(summary: Mapping[str, Any]) -> str:
    """That nothing learns, where the first training of the run was of no use, or that its loss does not; nothing otherwise."""
    check = summary.get("baseline_check")
    if check is None:
        return ""
    if check["learns"]:
        return _unlearned_in_words(summary, check)
    metric = check.get("metric") or summary["metric"]
    return (
        f"Nothing learned here: with {loss_name(check['loss'])} at rate {number(check['learning_rate'])} the {metric} "
        f"on {check.get('evaluated_on', 'search_eval')} is {score(check['trained'])}, and up to {score(check['untrained'])} "
        "without any training. The tables below rank noise."
    )


def _unlearned_in_words(summary: Mapping[str, Any], check: Mapping[str, Any]) -> str:
    """That the loss of the run is best in a metric that tells nothing of learning, by a network that has not learned."""
    name = (summary.get("best") or next(iter(summary.get("comparison", [])), {})).get("name")
    row = next((row for row in summary.get("comparison", []) if row["name"] == name), None)
    telling = check.get("metric")
    reached = row and telling != summary["metric"] and row["tuned"].get("test_means", {}).get(telling)
    learned = _LITTLE * (check["trained"] - check["untrained"])
    if not isinstance(reached, float) or reached > check["untrained"] + learned:
        return ""
    return (
        f"Networks hardly learn with {loss_name(name)}: their {telling} on test is {score(reached)}, up to "
        f"{score(check['untrained'])} without any training, and {score(check['trained'])} with {loss_name(check['loss'])} on "
        f"{check.get('evaluated_on', 'search_eval')}. Their {summary['metric']} is that of networks that know nothing."
    )


def _with_minus(text: str) -> str:
    return text.replace("-", MINUS) if "e" not in text else text
