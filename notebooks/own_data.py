# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your data, your network, your metric
#
# A task is made of arrays, a module of Flax (Linen or NNX) and a metric: a name, a function of JAX, or one of scikit-learn on the whole
# split. Here: scikit-learn's breast cancer data with half of the training labels replaced by random ones, and balanced accuracy.

# %%
# In Colab, and wherever jaxloss is not there yet: a wheel of it that lies here comes first.
import glob
import importlib.util

if importlib.util.find_spec("jaxloss") is None:
    source = (glob.glob("jaxloss-*.whl") or ["jaxloss"])[-1]
    # %pip install --quiet {source}

# %%
import os
import tempfile

import flax.linen as nn
import jax
from flax import nnx
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import balanced_accuracy_score

import jaxloss

inputs, labels = load_breast_cancer(return_X_y=True)

# %% [markdown]
# ## A Linen module, with BatchNorm


# %%
class Network(nn.Module):
    @nn.compact
    def __call__(self, inputs, train):
        hidden = nn.BatchNorm(use_running_average=not train, momentum=0.9)(inputs)
        return nn.Dense(2)(nn.relu(nn.Dense(16)(hidden)))


def balanced(probabilities, labels):
    return balanced_accuracy_score(labels, probabilities.argmax(-1))


task = jaxloss.make_task(inputs, labels, Network(), balanced, noise_kind="symmetric", noise_rate=0.5)

# %% [markdown]
# The config has a small search. The short form has a smaller one.

# %%
SHORT = os.environ.get("JAXLOSS_NOTEBOOKS") != "long"
short = {
    "search.num_trainings": 24,
    "search.control": False,
    "comparison.handcrafted": ("cross_entropy", "gce"),
    "comparison.tuning_trainings": 8,
    "comparison.tuning_finalists": 2,
    "comparison.tuning_seeds": 2,
    "comparison.test_seeds": 2,
}
folder = tempfile.mkdtemp()
results = jaxloss.run(jaxloss.config_for(task, short if SHORT else {}), os.path.join(folder, "linen"), task=task)
results

# %%
results.best

# %% [markdown]
# ## The same with NNX
#
# The metric by its name, and one training with cross-entropy alone.


# %%
class Layers(nnx.Module):
    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(30, momentum=0.9, rngs=rngs)
        self.hidden = nnx.Linear(30, 16, rngs=rngs)
        self.logits = nnx.Linear(16, 2, rngs=rngs)

    def __call__(self, inputs):
        return self.logits(jax.nn.relu(self.hidden(self.norm(inputs))))


task = jaxloss.make_task(inputs, labels, Layers, "balanced_accuracy", noise_kind="symmetric", noise_rate=0.5)
config = jaxloss.config_for(task, {"mode": "train", "loss": "cross_entropy", "comparison.test_seeds": 2})
results = jaxloss.run(config, os.path.join(folder, "nnx"), task=task)
results

# %%
results.report()
