"""A search space whose losses are no graphs: a vector of weights, the coefficients of a polynomial. From the repository's root:

    python -m jaxloss.launch --config=configs/quickstart.py --config.space.name=examples.own_weights:polynomials \\
        --workdir=runs/own_weights

A loss is `y (w_1 (1 - p) + w_2 (1 - p)^2 + ...)`; with `w_k = 1 / k` it is the beginning of cross-entropy (Leng et al., PolyLoss,
ICLR 2022).
"""

import numpy as np

from jaxloss import Branch, Form, Space, UserError

PYTHON = '''"""{docstring}"""

import jax.numpy as jnp

WEIGHTS = {weights}


def loss(prediction, target):
    """The loss, a scalar, of predictions and one-hot targets [N, C]: the sum over C and the mean over N."""
    terms = sum(weight * (1 - prediction) ** (power + 1) for power, weight in enumerate(WEIGHTS))
    return jnp.mean(jnp.sum(target * terms, axis=-1))
'''


class Weights(Form):
    """Expressions are tuples of `degree` numbers, written `1, 0.5, 0.33`."""

    inputs = ("prediction", "target")

    def __init__(self, degree):
        self.degree = degree

    def parse(self, text, whose=""):
        try:
            weights = tuple(round(float(part), 3) + 0.0 for part in text.split(","))
        except ValueError:
            weights = ()
        if len(weights) != self.degree or not np.isfinite(weights).all():
            raise UserError(f"a loss{whose} is {self.degree} numbers with commas between them, not '{text}'")
        return weights

    def write(self, expression):
        return ", ".join(f"{weight:g}" for weight in expression)

    def encode(self, expression):
        return np.array(expression, np.float32)

    def values(self, encoded, inputs, axis_name=None):
        prediction, target = inputs.arrays["prediction"], inputs.arrays["target"]
        return target * sum(encoded[power] * (1 - prediction) ** (power + 1) for power in range(self.degree))

    def latex(self, expression):
        terms = " + ".join(rf"{weight:g} (1 - \hat{{y}})^{{{power}}}" for power, weight in enumerate(expression, 1))
        return rf"y \left({terms}\right)".replace("+ -", "- ")


def polynomials(degree: int = 4, step: float = 0.3, branch: str = "classification") -> Space:
    form = Weights(degree)

    def near(generator: np.random.Generator, centre):
        return form.parse(", ".join(map(str, np.asarray(centre) + step * generator.standard_normal(degree))))

    def sample(generator, branch):
        return near(generator, [1 / power for power in range(1, degree + 1)])

    def offspring(generator, branch, parents):
        return near(generator, parents[0]), "all weights moved"

    def write_python(reading, docstring):
        return PYTHON.format(docstring=docstring, weights=list(form.parse(reading.text)))

    return Space("polynomials", (Branch(branch, form),), sample, offspring, write_python=write_python)
