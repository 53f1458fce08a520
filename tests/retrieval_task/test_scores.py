"""How the retrieval task scores a network: features of images, queries against a gallery."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.tasks.base import TEST
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.metrics.retrieval import retrieval_scores
from jaxloss.tasks.models.embeddings import Embeddings
from jaxloss.tasks.retrieval import make_retrieval
from jaxloss.tasks.retrieval_scores import RANKS, make_features, make_scores
from jaxloss.tasks.retrieval_settings import RetrievalSettings


def test_features_are_those_of_an_image_and_its_mirror_image():
    class Pixels:
        def apply(self, variables, images, train):
            assert not train
            return Embeddings(heads=None, feature=images.reshape(len(images), -1)), None

    images = np.random.default_rng(0).normal(size=(3, 4, 2, 1)).astype(np.float32)
    for flip, wanted in ((False, images), (True, images + images[:, :, ::-1])):
        features = make_features(Pixels(), lambda part: part, 2, flip, unroll=False)
        np.testing.assert_array_equal(features({}, images), wanted.reshape(3, -1))


def test_scores_are_those_of_queries_against_the_gallery():
    """Queries are no answers, gallery images do not ask, and an image of the same camera does not count."""
    random = np.random.default_rng(0)
    query = np.arange(40) < 12
    examples = {
        "image": jnp.asarray(random.normal(size=(40, 4)), jnp.float32),
        "identity": jnp.asarray(random.integers(0, 6, 40)),
        "camera": jnp.asarray(random.integers(0, 2, 40)),
        "query": jnp.asarray(query),
        "gallery": jnp.asarray(~query),
    }
    found = {name: float(value) for name, value in make_scores(lambda variables, images: images, True)({}, examples).items()}
    parts = [np.asarray(examples[name])[chosen] for name in ("image", "identity", "camera") for chosen in (query, ~query)]
    wanted = {name: float(value) for name, value in retrieval_scores(*parts, ranks=RANKS).items()}
    assert found == pytest.approx(wanted, abs=1e-6)


def test_without_cameras_there_are_recalls(tmp_path):
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (48, 8, 8, 1), dtype=np.uint8), np.repeat(np.arange(12), 4)
    np.savez(tmp_path / "set.npz", images=images, identities=labels)
    options = {
        "source": "npz:set.npz",
        "source_options": {"camera_key": "", "split_key": ""},
        "image_size": (0, 0),
        "augmentation": "none",
        "model": "embedding_cnn",
        "metric": "recall_2",
        "identities_per_batch": 2,
    }
    task = make_retrieval(RetrievalSettings(**options), TaskContext(data_dir=str(tmp_path)))
    assert task.also_shown == ("mAP_step", "recall_1")
    scores = jax.jit(task.scores)(jax.jit(task.init)(jax.random.key(0)), task.data[TEST])
    for rank in (1, 2, 4, 8):
        assert float(scores[f"recall_{rank}"]) == float(scores[f"rank_{rank}"])
