"""The space of AM-LFS with draws whose networks all meet NaN, in searches and rounds that a test has chosen."""

import dataclasses

import numpy as np

from jaxloss.spaces.base import Space
from jaxloss.systems.am_lfs.form import as_theta
from tests.am_lfs.losses import SPACE

EXPLODING = {"classification": as_theta(np.full((4, 6), 3e38, np.float32))}
# Of the first and the second search of `tests/configs/tiny_lockstep.py`.
FIRST, SECOND = 12000, 12001


def dying(seeds: tuple[int, ...]) -> Space:
    """Without learning no search has a second round; those of some seeds never have a copy, with learning or without."""
    distribution = SPACE.distribution

    def sample(state, generator, count):
        drawn = distribution.sample(state, generator, count)
        seed, number = entropy if np.ndim(entropy := generator.bit_generator.seed_seq.entropy) else (None, 0)
        unlearned = number > 0 and state == distribution.start()
        return [EXPLODING] * count if unlearned or seed in seeds else drawn

    return dataclasses.replace(SPACE, distribution=dataclasses.replace(distribution, sample=sample))


def second_dies() -> Space:
    return dying((SECOND,))


def all_die() -> Space:
    return dying((FIRST, SECOND))
