"""What filters say of a loss follows from the loss: not from its company, its place, the threads, or what was asked before."""

import functools
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from experiments.benchmarks import common
from experiments.reliability.drawing import SPACES, draw_chunk
from jaxloss.core.form import Expression
from jaxloss.core.problem import RejectionProblem
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.context import FilterContext
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.settings import FilterSettings, RejectionSettings
from jaxloss.filters.standard import standard_filters
from jaxloss.tasks.cosine_problem import toy_problem
from tests.box_losses.task import problem_of

_REJECTION = RejectionSettings(iterations=60)
_THREADS, _WIDTH = 2, 32
# Losses of one call in the other order: no divisor of anything.
_PART = 97
# Answers that a cascade keeps: few, so that most are computed again.
_REMEMBERED = 200


def problem_for(name: str) -> RejectionProblem:
    """A small one that losses of a space are tried on."""
    if name == "autoloss_zero":
        return common.random_problem(5, 1, 1, 10, seed=0)
    if name == "autoloss_gms":
        return toy_problem(jax.random.key(0), 16, 6)
    return problem_of(SPACES[name].branches[0].name)


@functools.cache
def cascade_for(name: str, threads: int) -> Cascade:
    """The filters of a space, with so many threads, kept with what they have compiled."""
    space, problem = SPACES[name], problem_for(name)
    (branch,) = space.branches
    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    settings = FilterSettings(width=_WIDTH, rejection=_REJECTION)
    context = FilterContext(branch, lambda _: problem, settings, workers=pool, num_workers=threads)
    return Cascade(branch.name, branch.form, (space.make_filters or standard_filters)(context), remembered=_REMEMBERED)


def check_filters(name: str, seed: int, number: int, size: int) -> tuple[str, list[str]]:
    """Draws a chunk that passes the look at the leaves, and asks twice: in order on one thread, and shuffled on two threads.

    Returns:
      SHA-256, in hexadecimal, of all verdicts, which no other process may find different; and verdicts that differ, a line each.
    """
    (branch,) = SPACES[name].branches
    first, second = cascade_for(name, 1), cascade_for(name, _THREADS)
    losses = draw_chunk(name, seed, number, size, wanted=lambda loss: first.look(loss).accepted)
    order = np.random.default_rng((seed, number)).permutation(size)
    found = _ask(first, losses)
    shuffled = [one for start in range(0, size, _PART) for one in _ask(second, [losses[i] for i in order[start : start + _PART]])]
    wrong = [
        f"{name}: {found[index]} in order, {again} in other company: {branch.form.write(losses[index])}"
        for index, again in zip(order, shuffled, strict=True)
        if found[index] != again
    ]
    wrong += [f"{name}: compiled again, {one.compilations}" for one in (first, second) if max(one.compilations.values()) > 1]
    return hashlib.sha256("\n".join(found).encode()).hexdigest(), wrong


def _ask(cascade: Cascade, losses: Sequence[Expression]) -> list[str]:
    """Everything that is said of each, as text with all its digits."""
    return [
        f"{known.verdict.reason.label} {known.verdict.value!r} {known.signature} {known.sketch}"
        for known in cascade.screen(losses, LossMemory())
    ]
