"""A tiny folder in Market's layout, and the retrieval task that is made of it."""

import numpy as np
from PIL import Image

from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.retrieval import make_retrieval
from jaxloss.tasks.retrieval_settings import RetrievalSettings


def colour(person):
    """Persons differ by the colours of their upper and lower half."""
    random = np.random.default_rng(person + 1)
    return np.repeat(random.integers(40, 216, (2, 1, 3)), 8, axis=0)


def write_person(folder, person, camera, number):
    random = np.random.default_rng((person + 1, camera, number))
    image = np.clip(colour(person) + random.normal(0, 25, (16, 8, 3)), 0, 255).astype(np.uint8)
    name = f"{person:04d}" if person >= 0 else "-1"
    Image.fromarray(image).save(folder / f"{name}_c{camera}s1_{number:06d}_01.jpg", quality=95)


def make(market, **options):
    options = {
        "image_size": (16, 8),
        "train_fraction": 0.6,
        "model": "embedding_cnn",
        "model_options": {"features": (4, 8), "embedding_size": 8},
        "identities_per_batch": 3,
        "images_per_identity": 2,
        "augmentation": "none",
        "flip_test": False,
        "pixel_mean": 0.5,
        "pixel_deviation": 0.2,
        **options,
    }
    return make_retrieval(RetrievalSettings("market:Market-1501", **options), TaskContext(data_dir=str(market)))
