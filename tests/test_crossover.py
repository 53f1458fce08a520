"""Children of two parents in AutoLoss-Zero's space, which the paper does not have."""

import numpy as np
import pytest

from jaxloss.systems.autoloss_zero import edits
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import CROSSOVER, TERM, autoloss_zero

ALWAYS = {"copy_probability": 0.0, "reinitialise_probability": 0.0, "crossover_probability": 1.0}
SPACE = autoloss_zero(AutoLossZeroSettings(**ALWAYS))
BRANCH = SPACE.branches[0]
FIRST, SECOND = (BRANCH.form.parse(text) for text in ("Neg(Mul(prediction,target))", "Square(Mean_nhw(prediction))"))


def children(space, count=300, parents=(FIRST, SECOND)):
    generator = np.random.default_rng(0)
    return [space.offspring(generator, space.branches[0], list(parents)) for _ in range(count)]


def test_a_child_is_the_sum_or_has_a_part_of_the_other():
    found = children(SPACE)
    assert {origin for _, origin in found} == {CROSSOVER}
    texts = [str(graph) for graph, _ in found]
    total = f"Add({FIRST}, {SECOND})"
    assert 0.4 < texts.count(total) / len(texts) < 0.6
    others = {text for text in texts if text != total}
    parts = ("Square(Mean_nhw(prediction))", "Mean_nhw(prediction)", "prediction")
    expected = {
        *parts,
        *(f"Neg({part})" for part in parts),
        *(f"Neg(Mul({part}, target))" for part in parts),
        *(f"Neg(Mul(prediction, {part}))" for part in parts),
    }
    assert others == expected


def test_every_child_fits_and_can_be_read():
    small = autoloss_zero(AutoLossZeroSettings(**ALWAYS, max_instructions=4))
    form = small.branches[0].form
    found = children(small)
    assert "mutation" in {origin for _, origin in found}
    for graph, _ in found:
        assert str(form.parse(form.write(graph))) == str(graph)


def test_the_paper_has_one_parent():
    assert (autoloss_zero().num_parents, SPACE.num_parents) == (1, 2)
    assert CROSSOVER not in {origin for _, origin in children(autoloss_zero(), parents=(FIRST,))}


@pytest.mark.parametrize("seed", range(3))
def test_parents_stay_as_they_are(seed):
    before = str(FIRST), str(SECOND)
    edits.joined(np.random.default_rng(seed), FIRST, SECOND)
    assert (str(FIRST), str(SECOND)) == before


def test_a_term_is_added_to_the_parent():
    term = autoloss_zero(AutoLossZeroSettings(copy_probability=0.0, reinitialise_probability=0.0, term_probability=1.0))
    found = children(term, parents=(FIRST,))
    assert {origin for _, origin in found} == {TERM}
    assert all(str(graph).startswith(f"Add({FIRST}, ") for graph, _ in found)
    # Also such as are no loss alone.
    assert any("target" not in str(graph)[len(f"Add({FIRST}, ") :] for graph, _ in found)
    assert len({str(graph) for graph, _ in found}) > 100
    assert TERM not in {origin for _, origin in children(autoloss_zero(), parents=(FIRST,))}
