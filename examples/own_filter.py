"""A filter of your own: a loss has to be lower where the prediction is right than where it is wrong. From the repository's root:

    python -m jaxloss.launch --config=configs/quickstart.py --config.filters.also="('examples.own_filter:order',)" \\
        --workdir=runs/own_filter
"""

import dataclasses

import jax
import jax.numpy as jnp

from jaxloss import Cost, FilterContext, LossInputs, Reason, Verdict

WRONG_ORDER = Reason("wrong_order", "is not lower for a right prediction than for a wrong one")


class Order:
    """Compares the losses of two rows of two classes; stops what does not put them in order."""

    name, title, cost, remembers, reasons = "order", "two predictions in the right order", Cost.CALL, True, (WRONG_ORDER,)

    def __init__(self, form):
        self.form, self.compilations = form, 0
        self.difference = jax.jit(self._difference)

    def check(self, expressions, known, memory):
        del memory
        return [self._judge(*pair) for pair in zip(expressions, known, strict=True)]

    def _judge(self, expression, known):
        difference = float(self.difference(self.form.encode(expression)))
        return known if difference > 0 else dataclasses.replace(known, verdict=Verdict(WRONG_ORDER, difference))

    def _difference(self, encoded):
        """The loss of the wrong row minus that of the right one."""
        self.compilations += 1  # counted while tracing: once for all expressions
        target = jnp.array([1.0, 0.0]).reshape(1, 1, 1, 2)

        def loss(prediction):
            arrays = {"prediction": jnp.array([prediction, 1 - prediction]).reshape(1, 1, 1, 2), "target": target}
            return jnp.sum(self.form.values(encoded, LossInputs.create(arrays)))

        return loss(0.1) - loss(0.9)


def order(context: FilterContext) -> Order:
    return Order(context.branch.form)
