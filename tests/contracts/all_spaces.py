"""Every space that is registered, two from outside the package, and draws from them."""

import numpy as np

from examples.own_space import parabolas
from examples.own_weights import polynomials
from jaxloss.systems.registry import SYSTEMS

SPACES = {name: lambda system=system: system.make_space(system.settings()) for name, system in SYSTEMS.items()}
SPACES |= {"parabolas (outside)": parabolas, "polynomials (outside)": polynomials}


def draw(space, seed):
    random = np.random.default_rng(seed)
    return {branch.name: space.sample(random, branch) for branch in space.branches}
