"""The digits with noisy labels and a tiny network, made once for all tests of a process."""

import functools

import jax

from jaxloss.tasks.classification import make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings

NOISY = {"noise_kind": "symmetric", "noise_rate": 0.4}


@functools.cache
def digits():
    return make_classification(ClassificationSettings("digits", **NOISY, model_options={"features": (16,)}))


@functools.cache
def digits_variables():
    return jax.jit(digits().init)(jax.random.key(0))
