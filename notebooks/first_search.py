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
# # A first search
#
# Seven of ten training labels are replaced by random ones. Which loss trains a small network best, all the same? jaxloss looks for it: it
# makes up formulas, throws the hopeless ones out, trains the network with the others, and compares what it found with losses from the
# literature, all of them tuned alike.
#
# It runs on a CPU as it is: about four minutes in the short form below.

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

import jax
import jax.numpy as jnp

import jaxloss

# %% [markdown]
# The short form has a small budget. For a search as in the README take `SHORT = False`.

# %%
SHORT = os.environ.get("JAXLOSS_NOTEBOOKS") != "long"
short = {
    "search.num_trainings": 90,
    "search.calibration_trainings": 12,
    "search.control": False,
    "comparison.tuning_trainings": 10,
    "comparison.tuning_finalists": 2,
    "comparison.tuning_seeds": 2,
    "comparison.handcrafted": ("cross_entropy", "gce", "sce"),
}
config = jaxloss.load_config("quickstart", short if SHORT else {})
workdir = os.path.join(tempfile.mkdtemp(), "first_search")

# %% [markdown]
# Whatever happens, nothing that was trained is lost: run the cell again with the same `workdir`, and it goes on. What should be there
# tomorrow, when the kernel has another temporary folder, needs a folder of yours, such as `workdir = "runs/first_search"`.

# %%
results = jaxloss.run(config, workdir)
results

# %% [markdown]
# ## What was found
#
# The loss is a function of probabilities and one-hot labels, for `jax.jit` and `jax.grad`.

# %%
results.best

# %%
loss = results.best
logits = jax.random.normal(jax.random.key(0), (8, 10))
labels = jax.nn.one_hot(jnp.arange(8) % 10, 10)


@jax.jit
def value_and_gradient(logits):
    return jax.value_and_grad(lambda logits: loss(jax.nn.softmax(logits), labels))(logits)


value, gradient = value_and_gradient(logits)
value, gradient.shape

# %% [markdown]
# As a file that needs neither jaxloss nor JAX, for PyTorch: `print(loss.python("torch"))`. Everything that was tried is there, too, as a
# `pandas.DataFrame`; `results.trainings()`, `results.comparison()` and `results.ranking()` are further ones:

# %%
trained = results.candidates().query("training and branch == '*'")
trained.nlargest(5, "score")[["score", "formula", "origin", "seconds"]]

# %% [markdown]
# The page of the run has the curve of the search, every candidate, and how sure each lead is. It is one file for your browser, which needs
# nothing else: open it from where it is, or download it first (in Colab from the files on the left).

# %%
results.report()
