"""Losses of your own that are learned while the network trains: the polynomials of `own_weights.py`, by the cross-entropy method.
From the repository's root:

    python -m jaxloss.launch --config=configs/am_lfs_digits.py --workdir=runs/own_distribution \\
        --config.space.name=examples.own_distribution:learned_polynomials

In every round the mean of a Gaussian becomes that of the better half of its draws (de Boer et al., Annals of Operations Research,
2005).
"""

import dataclasses

import numpy as np

from examples.own_weights import polynomials
from jaxloss import Distribution, Space


def learned_polynomials(degree: int = 4, step: float = 0.3, branch: str = "classification") -> Space:
    space = polynomials(degree, step, branch)
    (own,) = space.branches

    def start():
        return {"mean": [1 / power for power in range(1, degree + 1)]}

    def candidate(weights):
        return {branch: own.form.parse(", ".join(map(str, weights)))}

    def sample(state, generator, count):
        return [candidate(np.array(state["mean"]) + step * generator.standard_normal(degree)) for _ in range(count)]

    def update(state, candidates, rewards):
        # Networks that were stopped have a reward of NaN, and come last.
        best = np.argsort(-np.nan_to_num(rewards, nan=-np.inf), kind="stable")[: (np.isfinite(rewards).sum() + 1) // 2]
        return {"mean": np.mean([candidates[index][branch] for index in best], axis=0).tolist()}

    distribution = Distribution(
        start, sample, update, lambda state: candidate(state["mean"]), lambda state: {"weights": state["mean"]}
    )
    return dataclasses.replace(space, name="learned_polynomials", distribution=distribution)
