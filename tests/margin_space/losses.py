"""The space of margin losses, its published losses, and cosines to compute them on."""

import jax.numpy as jnp
import numpy as np

from jaxloss.core.types import LossInputs
from jaxloss.systems.autoloss_gms.published import AUTOLOSS_GMS_FORMULAS, MARGIN_SOFTMAX_FORMULAS
from jaxloss.systems.autoloss_gms.space import autoloss_gms

SPACE = autoloss_gms()
(BRANCH,) = SPACE.branches
FORM = BRANCH.form
FORMULAS = {**AUTOLOSS_GMS_FORMULAS, **MARGIN_SOFTMAX_FORMULAS}


def cosines(num_samples=6, num_classes=5, seed=0):
    random = np.random.default_rng(seed)
    cosine = random.uniform(-0.95, 0.95, (num_samples, 1, 1, num_classes)).astype(np.float32)
    target = np.eye(num_classes, dtype=np.float32)[random.integers(0, num_classes, num_samples)][:, None, None]
    return cosine, target


def inputs_of(cosine, target):
    return LossInputs.create({"cosine": jnp.asarray(cosine), "target": jnp.asarray(target)})
