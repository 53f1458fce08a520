"""The losses of boxes that AutoLoss-Zero published: values and slopes against NumPy, and a perfect box is the best."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.systems.autoloss_zero.published import AUTOLOSS_ZERO_BOX_FORMULAS
from jaxloss.systems.autoloss_zero.settings import AutoLossZeroSettings
from jaxloss.systems.autoloss_zero.space import autoloss_zero

AREAS = ("intersection", "union", "enclosing")
# In areas of the true box: perfect, half of it, twice as large, apart by little.
CASES = np.array([[1, 1, 1], [0.5, 1, 1], [1, 2, 2], [0.1, 1.9, 2.5]], np.float32)
WRITTEN = {
    "autoloss_zero_rpn_regression": lambda i, u, e: e / (i + u),
    "autoloss_zero_rcnn_regression": lambda i, u, e: -np.log(i / e),
    "autoloss_zero_instance_rcnn_regression": lambda i, u, e: -np.sqrt(i) / np.sqrt(e),
}


@pytest.mark.parametrize("name", AUTOLOSS_ZERO_BOX_FORMULAS)
def test_values_are_those_of_the_formula_and_a_perfect_box_has_the_lowest(name):
    space = autoloss_zero(AutoLossZeroSettings(branches=("boxes",), branch_inputs={"boxes": AREAS}))
    candidate = space.encode(space.parse(AUTOLOSS_ZERO_BOX_FORMULAS[name]))

    def loss(areas):
        arrays = {one: areas[:, k].reshape(-1, 1, 1, 1) for k, one in enumerate(AREAS)}
        return space.loss(candidate, {"boxes": LossInputs.create(arrays)})

    value, slopes = jax.jit(jax.value_and_grad(loss))(jnp.asarray(CASES))
    wanted = WRITTEN[name](*CASES.T.astype(np.float64))
    assert value == pytest.approx(wanted.mean(), rel=1e-4)
    assert wanted.argmin() == 0
    for k in range(3):
        step = np.zeros((1, 3))
        step[0, k] = 1e-6
        ends = [WRITTEN[name](*(CASES.astype(np.float64) + sign * step).T) for sign in (1, -1)]
        np.testing.assert_allclose(slopes[:, k], (ends[0] - ends[1]) / 2e-6 / len(CASES), rtol=2e-3, atol=1e-4)
