"""Which term of a loss does the work: the loss trained without one of them at a time, on the seeds and divisions of the test.

Every loss is trained at the rate of the whole one. With an optimiser that sees the scale of a loss, what a term does to the scale
is part of what its absence does.
"""

import math
from collections.abc import Mapping
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.spaces.base import Branch, Candidate, Space
from jaxloss.study.comparison import Comparison, TestResult, paired_difference
from jaxloss.study.contender import Contender
from jaxloss.symbolic.describe import describe
from jaxloss.symbolic.domain import ValueRange
from jaxloss.symbolic.reading import reading_of

STAGE = "ablation"


def ablate(
    comparison: Comparison, whole: TestResult, minimal: str | None, ranges: Mapping[str, Mapping[str, ValueRange]]
) -> dict[str, Any] | None:
    """Trains what is left of a tested loss without each of its top-level terms.

    Trainings are stored under the stage `ablation`, and found there again. A loss that moves a network as the whole one does, and
    one that no longer reads what a loss must read, are not trained.

    Args:
      comparison: of the run.
      whole: the loss, tuned and tested.
      minimal: the same loss without what does nothing on the task, whose terms are looked at in its place; or None.
      ranges: see `Task.ranges`.

    Returns:
      `name` of the loss; `formula`, whose terms they are; `pairs`, how many trainings there are of each; `rows`, for each term
      `term`, `latex` of it or None, `formula` without it, and either `why` it was not trained or `test_mean`, `mean` and `ci95`:
      the score, and its paired difference to that of the whole loss. None for a loss that has no terms to spare.
    """
    space, point = whole.contender.family, whole.point
    if not isinstance(space, Space):
        return None
    candidate = space.parse(whole.contender.formula)
    if point.hyperparameters:
        candidate = space.with_hyperparameters(candidate, point.hyperparameters)
    elif minimal is not None:
        candidate = space.parse(minimal)
    left = [(branch, term, one) for branch in space.branches for term, one in _without(branch, candidate).items()]
    if not left:
        return None
    formulas = [space.write({**candidate, branch.name: one}) for branch, _, one in left]
    reasons = _reasons(comparison, space.write(candidate), formulas)
    reasons = [_lacks(branch, one) or why for (branch, _, one), why in zip(left, reasons, strict=True)]
    trained = [
        Contender(formula, whole.contender.kind, space, formula)
        for formula, why in zip(formulas, reasons, strict=True)
        if not why
    ]
    points = [one.default(point.learning_rate) for one in trained]
    results = dict(
        zip((one.formula for one in trained), comparison.test(trained, points, [math.nan] * len(trained), STAGE), strict=True)
    )
    rows = [
        {"term": term, "latex": latex, "formula": formula, "why": why, **({} if why else _outcome(results[formula], whole))}
        for (_, term, _), latex, formula, why in zip(left, _latex(space, left, ranges), formulas, reasons, strict=True)
    ]
    return {"name": whole.contender.label, "formula": space.write(candidate), "pairs": len(whole.scores), "rows": rows}


def _without(branch: Branch, candidate: Candidate) -> Mapping[str, Any]:
    return {} if branch.form.ablated is None else branch.form.ablated(candidate[branch.name])


def _reasons(comparison: Comparison, whole: str, formulas: list[str]) -> list[str]:
    """For each loss why it need not be trained, or ''."""
    if comparison.equal_losses is None:
        return [""] * len(formulas)
    firsts = comparison.equal_losses.firsts([whole, *formulas])[1:]
    return ["its gradients are those of the whole loss" if first == 0 else "" for first in firsts]


def _lacks(branch: Branch, expression: Any) -> str:
    lacking = branch.lacking(expression)
    return "" if lacking is None else f"what is left does not read the {' or '.join(sorted(lacking))}"


def _outcome(result: TestResult, whole: TestResult) -> dict[str, Any]:
    interval = paired_difference(result, whole)
    return {"test_mean": result.interval.mean, "mean": interval.mean, "ci95": [interval.low, interval.high]}


def _latex(space: Space, left: list[tuple[Branch, str, Any]], ranges: Mapping[str, Any]) -> list[str | None]:
    """The terms as they are typeset, where a term is a loss of its branch."""
    if len(space.branches) > 1:
        return [None] * len(left)
    try:
        candidates = [{branch.name: branch.form.parse(term)} for branch, term, _ in left]
    except UserError:
        return [None] * len(left)
    return [one.latex for one in describe([reading_of(space, candidate, ranges) for candidate in candidates])]
