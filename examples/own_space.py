"""A search space of one's own: margin-based softmax losses whose two curves are parabolas.

It takes its form, how a loss is written and computed, from AutoLoss-GMS, and brings its own draws and mutations.
"""

import dataclasses
import re

import numpy as np

from jaxloss import Space, make_space

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def parabolas(branch: str = "identity", step: float = 0.1) -> Space:
    whole = make_space("autoloss_gms", branch=branch, num_constants=3, max_operators=4)

    def loss(branch, numbers):
        """t and n are a x^2 + b x + c; the seventh number is log2 s."""
        t1, t2, t3, n1, n2, n3, scale = (round(float(number), 2) + 0.0 for number in numbers)
        t, n = (f"Add(Mul(Add(Mul({a}, x), {b}), x), {c})" for a, b, c in ((t1, t2, t3), (n1, n2, n3)))
        return branch.form.parse(f"t: {t} | n: {n} | log2_s: {min(max(scale, 0.5), 10)}")

    def sample(generator: np.random.Generator, branch):
        return loss(branch, [*generator.normal([0, 1, 0, 0, 1, 1], 0.5), generator.uniform(1, 6)])

    def offspring(generator: np.random.Generator, branch, parents):
        numbers = np.array(NUMBER.findall(branch.form.write(parents[0])), float)
        return loss(branch, numbers + generator.normal(0, step, len(numbers))), "all numbers moved"

    return dataclasses.replace(whole, name="parabolas", sample=sample, offspring=offspring, num_parents=1)
