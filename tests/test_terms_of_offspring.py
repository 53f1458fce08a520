"""Sums of a parent and a random tree in AutoLoss-Zero's space, which the paper does not have."""

import numpy as np

from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import TERM, autoloss_zero


def test_a_term_is_added_to_the_parent():
    term = autoloss_zero(AutoLossZeroSettings(copy_probability=0.0, reinitialise_probability=0.0, term_probability=1.0))
    parent = term.branches[0].form.parse("Neg(Mul(prediction,target))")

    def children(space):
        generator = np.random.default_rng(0)
        return [space.offspring(generator, space.branches[0], [parent]) for _ in range(300)]

    found = children(term)
    assert {origin for _, origin in found} == {TERM}
    assert all(str(graph).startswith(f"Add({parent}, ") for graph, _ in found)
    # Also such as are no loss alone.
    assert any("target" not in str(graph)[len(f"Add({parent}, ") :] for graph, _ in found)
    assert len({str(graph) for graph, _ in found}) > 100
    assert TERM not in {origin for _, origin in children(autoloss_zero())}
