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
# # The metric that you are judged by: boundaries of segments
#
# Cross-entropy counts pixels. Who is judged by how well the outlines of objects are met, wants a loss that trains towards that. The data
# here are made in this notebook, so that it runs anywhere: handwritten digits that lie on a noisy ground, each pixel of a digit to be
# named. Your own images and masks are an `.npz` file of the same keys, or a folder (`--config=autoloss_zero_masks`).

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
from sklearn.datasets import load_digits

import jaxloss

# %% [markdown]
# Four digits to an image of 32 x 32 pixels, on noise. Class 0 is the ground, class 1 the digit zero, and so on.

# %%
HEIGHT = WIDTH = 32
random = np.random.default_rng(0)
digits = load_digits()


def scene(rows):
    image, mask = random.uniform(0, 90, (HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH), np.uint8)
    for row in random.choice(rows, 4):
        digit = np.kron(digits.images[row], np.ones((2, 2)))
        y, x = random.integers(0, HEIGHT - 15), random.integers(0, WIDTH - 15)
        inside = digit > 6
        image[y : y + 16, x : x + 16][inside] = 100 + 9 * digit[inside]
        mask[y : y + 16, x : x + 16][inside] = digits.target[row] + 1
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, axis=-1), mask


def scenes(rows, count):
    images, masks = zip(*(scene(rows) for _ in range(count)), strict=True)
    return np.stack(images), np.stack(masks)


rows = random.permutation(len(digits.target))
folder = tempfile.mkdtemp()
splits = {}
for name, part, count in (("train", rows[:1200], 240), ("val", rows[1200:], 80)):
    splits[f"{name}_images"], splits[f"{name}_labels"] = scenes(part, count)
names = ["ground", *map(str, range(10))]
np.savez(os.path.join(folder, "scenes.npz"), **splits, class_names=np.array(names))

# %% [markdown]
# A small U-Net, boundary F1 within one pixel, a search of a few trainings that begins with what people use. The short form has a
# small budget: it shows how it goes, not how far. For a search worth its name take `SHORT = False`. Of trainings so short some end where
# they began, with nothing but ground: where the first one with cross-entropy does, a line says that nothing learns.

# %%
SHORT = os.environ.get("JAXLOSS_NOTEBOOKS") != "long"
own = {
    "data_dir": folder,
    "task.segmentation.source": "npz:scenes.npz",
    "task.segmentation.image_size": (HEIGHT, WIDTH),
    "task.segmentation.block": 1,
    "task.segmentation.rejection_window": (16, 16),
    "task.segmentation.metric": "boundary_f1",
    "task.segmentation.training_target": "labels",
    "task.segmentation.tolerance": 1,
    "task.segmentation.augmentation": "none",
    "task.segmentation.model_options": {"features": (8, 16)},
    "training.num_epochs": 6.0,
    "comparison.handcrafted": ("cross_entropy", "dice", "soft_jaccard"),
}
short = {
    "search.num_trainings": 24,
    "search.calibration_trainings": 6,
    "search.control": False,
    "comparison.rank_candidates": 3,
    "comparison.rank_seeds": 2,
    "comparison.num_found": 1,
    "comparison.tuning_trainings": 6,
    "comparison.tuning_finalists": 2,
    "comparison.tuning_seeds": 1,
    "comparison.test_seeds": 1,
}
config = jaxloss.load_config("autoloss_zero_camvid", own | (short if SHORT else {}))
results = jaxloss.run(config, os.path.join(folder, "run"))
results

# %% [markdown]
# The found loss for your own training code: of probabilities and one-hot masks, `[N, H, W, C]` both.

# %%
results.best

# %% [markdown]
# The page shows images, truth and predictions side by side, the boundaries that were missed, and the six metrics of every loss.

# %%
results.report()
