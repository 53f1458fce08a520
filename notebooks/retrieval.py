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
# # Retrieval of what was never seen
#
# A network that puts images of one identity close to each other, also of identities that it never saw: faces, persons, products. Its loss is a
# margin softmax, whose two functions AutoLoss-GMS searches. The data are made here, so that it runs anywhere: scribbles of
# four strokes, each drawn many times with an unsteady hand. Your own are an `.npz` file of the same keys, or folders.

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

import numpy as np
from PIL import Image, ImageDraw

import jaxloss

# %% [markdown]
# 120 scribbles, 12 drawings of each by 12 drawers: a query is to be found among the drawings of others.

# %%
IDENTITIES, DRAWERS, SIZE = 120, 12, 20
random = np.random.default_rng(0)


def drawing(strokes):
    angle, shift = random.normal(0, 0.15), random.normal(0, 1.0, 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (strokes - SIZE / 2) @ turn + SIZE / 2 + shift + random.normal(0, 0.7, strokes.shape)
    image = Image.new("L", (SIZE, SIZE))
    ImageDraw.Draw(image).line([tuple(point) for point in points], fill=255, width=2)
    return np.asarray(image)[..., None]


scribbles = random.uniform(3, SIZE - 3, (IDENTITIES, 5, 2))
folder = tempfile.mkdtemp()
np.savez(
    os.path.join(folder, "scribbles.npz"),
    images=np.stack([drawing(strokes) for strokes in scribbles for _ in range(DRAWERS)]),
    identities=np.repeat(np.arange(IDENTITIES), DRAWERS),
    cameras=np.tile(np.arange(DRAWERS), IDENTITIES),
)

# %% [markdown]
# Some identities are for training, others for the search to be scored by, others for the test. The short form has a small budget; for
# a search worth its name take `SHORT = False`.

# %%
SHORT = os.environ.get("JAXLOSS_NOTEBOOKS") != "long"
own = {
    "data_dir": folder,
    "task.retrieval.source": "npz:scribbles.npz",
    "task.retrieval.source_options": {"camera_key": "cameras", "split_key": ""},
    "task.retrieval.train_fraction": 0.6,
    "training.num_epochs": 4.0,
}
short = {
    "search.num_trainings": 24,
    "search.control": False,
    "comparison.rank_candidates": 3,
    "comparison.rank_seeds": 2,
    "comparison.num_found": 1,
    "comparison.tuning_trainings": 6,
    "comparison.tuning_finalists": 2,
    "comparison.tuning_seeds": 2,
    "comparison.test_seeds": 2,
}
config = jaxloss.load_config("autoloss_gms_omniglot", own | (short if SHORT else {}))
results = jaxloss.run(config, os.path.join(folder, "run"))
results

# %% [markdown]
# What was found: two functions, one of the cosine, one of the probability, and how they are put together.

# %%
results.best

# %%
results.report()
