"""What every filter promises, on a small problem: those of all spaces, and one from outside the package."""

import functools

import jax
import numpy as np
import pytest

from examples.own_filter import order
from jaxloss.core.verdicts import ACCEPTED
from jaxloss.filters.base import UNDECIDED, Screened
from jaxloss.filters.cascade import Cascade
from jaxloss.filters.check import check_filter, check_names
from jaxloss.filters.context import FilterContext
from jaxloss.filters.equivalence import LossMemory
from jaxloss.filters.settings import FilterSettings, RejectionSettings
from jaxloss.filters.standard import standard_filters
from jaxloss.tasks.cosine_problem import toy_problem
from tests.box_losses.task import problem_of
from tests.compilations import counted
from tests.contracts.all_spaces import SPACES
from tests.problems import classification_problem, logits_problem

SETTINGS = FilterSettings(width=8, rejection=RejectionSettings(iterations=20, minimum_gain=0.2))


@functools.cache
def _listed(name):
    """The branch and the filters of a space, on a small problem that suits it."""
    space = SPACES[name]()
    (branch,) = space.branches
    cosines = space.problems == ("cosines",)
    of_boxes = "intersection" in branch.form.inputs
    problem = toy_problem(jax.random.key(0), 8, 4) if cosines else classification_problem()
    if "logits" in branch.form.inputs:
        problem = logits_problem()
    problem = problem_of(branch.name) if of_boxes else problem
    example = space.sample(np.random.default_rng(0), branch)
    context = FilterContext(branch, lambda name: problem, SETTINGS, example)
    filters = list((space.make_filters or standard_filters)(context))
    return space, branch, [*filters, *([order(context)] if "prediction" in branch.form.inputs else [])]


@pytest.mark.parametrize("name", SPACES)
class TestFilters:
    def test_each_is_what_a_filter_has_to_be(self, name):
        _, _, filters = _listed(name)
        check_names(filters)
        for one in filters:
            check_filter(one.name, one)

    def test_each_gives_reasons_that_it_declares_and_the_same_answer_alone_and_among_others(self, name):
        space, branch, filters = _listed(name)
        random = np.random.default_rng(3)
        known = {branch.form.key(one): one for one in (space.sample(random, branch) for _ in range(12))}
        expressions = [branch.form.canonical(one) for one in known.values()]
        before, memory = [Screened()] * len(expressions), LossMemory()
        for one in sorted(filters, key=lambda one: one.cost):
            together = one.check(expressions, before, memory)
            with counted() as compilations:
                alone = [
                    one.check([expression], [state], memory)[0] for expression, state in zip(expressions, before, strict=True)
                ]
            assert not compilations, one.name
            for found, wanted in zip(alone, together, strict=True):
                assert found.verdict.reason is wanted.verdict.reason
                assert (found.signature, found.sketch) == (wanted.signature, wanted.sketch)
                assert found.verdict.reason is ACCEPTED or found.verdict.reason in one.reasons
            going_on = [place for place, one in enumerate(together) if one.verdict is UNDECIDED]
            expressions, before = ([rows[place] for place in going_on] for rows in (expressions, together))
            if not expressions:
                break

    def test_a_cascade_of_them_answers_in_the_order_of_the_questions(self, name):
        space, branch, filters = _listed(name)
        cascade = Cascade(branch.name, branch.form, filters)
        random = np.random.default_rng(4)
        expressions = [space.sample(random, branch) for _ in range(8)]
        forwards = cascade.screen(expressions, LossMemory())
        backwards = Cascade(branch.name, branch.form, filters).screen(expressions[::-1], LossMemory())
        assert [one.verdict.reason for one in forwards] == [one.verdict.reason for one in backwards[::-1]]
