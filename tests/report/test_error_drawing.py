"""Losses of a regression are drawn over the error."""

import numpy as np

import jaxloss
from jaxloss.report.error_drawing import error_drawing_of


def test_curves_are_those_of_the_loss_over_the_error():
    space = jaxloss.make_space("autoloss_zero", branches=("regression",))
    drawing = error_drawing_of(space)
    texts = ("Abs(Add(prediction, Neg(target)))", "Mul(prediction, target)")
    (reference,), (absolute, product) = drawing.draw(space, [space.parse(text) for text in texts])
    for value, gradient, expected, slope in (
        (*reference, lambda e: e**2, lambda e: 2 * e),
        (*absolute, np.abs, np.sign),
    ):
        for target in (0, 1, 2):
            np.testing.assert_allclose(value.lines[target].values, expected(value.x), atol=1e-4)
            np.testing.assert_allclose(gradient.lines[target].values[:60], slope(value.x[:60]), atol=1e-4)
    value, gradient = product
    np.testing.assert_allclose(value.lines[0].values, -(value.x - 1), atol=1e-4)
    np.testing.assert_allclose(gradient.lines[0].values, -1, atol=1e-6)


def test_losses_that_read_more_are_not_drawn():
    assert error_drawing_of(jaxloss.make_space("autoloss_zero", inputs=("prediction", "target", "prior"))) is None
