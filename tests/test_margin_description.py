"""What people read of a margin-based loss: formulas, a Python file, curves."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.symbolic.describe import describe
from jaxloss.symbolic.reading import reading_of
from jaxloss.systems.autoloss_gms.published import AUTOLOSS_GMS_FORMULAS, MARGIN_SOFTMAX_FORMULAS
from jaxloss.systems.autoloss_gms.space import autoloss_gms

SPACE = autoloss_gms()
(BRANCH,) = SPACE.branches
FORMULAS = {**AUTOLOSS_GMS_FORMULAS, "circle": MARGIN_SOFTMAX_FORMULAS["circle"]}


@pytest.fixture(scope="module")
def descriptions():
    candidates = [SPACE.parse(text) for text in FORMULAS.values()]
    return dict(zip(FORMULAS, describe([reading_of(SPACE, one) for one in candidates]), strict=True))


def test_the_text_is_what_searches_write(descriptions):
    for name, description in descriptions.items():
        assert description.text == SPACE.write(SPACE.parse(FORMULAS[name]))


def test_formulas_are_simplified_between_minus_one_and_one(descriptions):
    zero = descriptions["autoloss_gms_zero"]
    assert zero.simplified_text == "t: x*(11/50 + exp(sqrt(22)/10)) + asin(11/50)**2 | n: x + 17/20 | log2_s: 5.5"
    assert zero.decimal_text == "t: 1.818*x + 0.0492 | n: x + 0.85 | log2_s: 5.5"
    assert zero.domain == "t: x in (-1, 1) | n: x in (-1, 1)"
    assert zero.latex == r"t(x) = 1.818 x + 0.0492;\quad n(x) = x + 0.85;\quad \log_2 s = 5.5"


def test_decimals_are_rounded_at_the_end():
    """e^0.8 e^0.8 is 4.953; the product of 2.226 with itself would be 4.955076."""
    candidate = SPACE.parse("t: Minus(x, 0.35) | n: Mul(Exp(0.8), Add(Exp(0.8), Sig(x))) | log2_s: 5")
    (description,) = describe([reading_of(SPACE, candidate)])
    assert description.decimal_text == "t: x - 0.35 | n: 4.953 + 2.226/(1 + exp(-x)) | log2_s: 5"


def test_the_exported_file_is_the_loss(descriptions):
    """Value and gradient, to the bit, without jaxloss."""
    random = np.random.default_rng(0)
    cosine = jnp.asarray(random.uniform(-1, 1, (6, 5)), jnp.float32)
    target = jax.nn.one_hot(random.integers(0, 5, 6), 5)

    @jax.jit
    @jax.value_and_grad
    def ours(x, candidate):
        inputs = LossInputs.create({"cosine": x[:, None, None], "target": target[:, None, None]})
        return SPACE.loss(candidate, {BRANCH.name: inputs})

    for name, description in descriptions.items():
        source = description.python("Found in a test.")
        assert "jaxloss" not in source
        module = {}
        exec(source, module)
        found = jax.value_and_grad(lambda x, m=module: m["loss"](x, target))(cosine)
        wanted = ours(cosine, SPACE.encode(SPACE.parse(FORMULAS[name])))
        chex.assert_trees_all_close(found, wanted, rtol=1e-5, atol=1e-6)
        assert module["LOG2_SCALE"] == SPACE.parse(FORMULAS[name])[BRANCH.name].log2_scale


def test_curves_and_slopes_that_train():
    """Nothing flows through a Detach: the slope of Circle loss is that of its second factor, scaled."""
    references, (drawn,) = SPACE.drawing.draw(SPACE, [SPACE.parse(FORMULAS["circle"])])
    assert len(references) == len(SPACE.drawing.references)
    curves, slopes = drawn
    x, (of_other, of_own), (other_slope, own_slope) = curves.x, curves.lines, slopes.lines
    assert (of_own.role, of_other.role) == ("own", "other")
    np.testing.assert_allclose(of_own.values, np.maximum(1.25 - x, 0) * (x - 0.75), atol=1e-6)
    np.testing.assert_allclose(own_slope.values, np.maximum(1.25 - x, 0), atol=1e-6)
    np.testing.assert_allclose(other_slope.values, np.maximum(x + 0.25, 0), atol=1e-6)
