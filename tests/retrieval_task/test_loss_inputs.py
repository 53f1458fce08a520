"""What a loss sees of the retrieval task: cosines to identities or images, and the triplet loss beside it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.core.types import LossInputs
from jaxloss.spaces.families import family
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.models.cosine import CosineClassifiers, pair_cosines
from jaxloss.tasks.models.embedding_cnn import EmbeddingCNN
from jaxloss.tasks.retrieval_inputs import BRANCH
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training
from jaxloss.tasks.triplet import batch_hard_triplet
from tests.retrieval_task.market import make


def test_the_loss_sees_cosines_to_the_training_identities(task):
    variables = jax.jit(task.init)(jax.random.key(0))
    batch = jax.tree.map(lambda leaf: leaf[:5], task.data[TRAIN])
    inputs, updated = jax.jit(task.forward)(variables, batch, jax.random.key(1))
    cosine, target = (inputs[BRANCH].arrays[name] for name in ("cosine", "target"))
    assert cosine.shape == target.shape == (5, 1, 1, 6)
    assert float(jnp.abs(cosine).max()) < 1
    np.testing.assert_array_equal(target[:, 0, 0].argmax(-1), batch["identity"])
    assert jax.tree.structure(updated) == jax.tree.structure(variables)


def test_cosines_are_those_of_embeddings_and_directions():
    """In NumPy; the directions begin about as long as is asked for."""
    network = EmbeddingCNN(features=(4,), embedding_size=8)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6, 4, 3)), jnp.float32)
    module = CosineClassifiers(network, 300, 0.5)
    (embeddings, cosine), variables = jax.jit(module.init_with_output)(jax.random.key(0), images)
    directions = np.asarray(variables["params"]["classes"])[0]
    assert directions.std() * np.sqrt(8) == pytest.approx(0.5, rel=0.05)
    heads = np.asarray(embeddings.heads)[:, 0]
    wanted = heads @ directions / np.linalg.norm(heads, axis=1)[:, None] / np.linalg.norm(directions, axis=0)
    np.testing.assert_allclose(cosine[:, 0], wanted, atol=1e-5)


def test_pair_cosines_leave_the_sample_itself_out():
    random = np.random.default_rng(0)
    heads, identities = random.normal(size=(4, 2, 3)).astype(np.float32), jnp.array([7, 7, 3, 7])
    cosines, same = jax.jit(pair_cosines)(jnp.asarray(heads), identities)
    assert cosines.shape == same.shape == (4, 2, 3)
    assert same[:, 0].sum(-1).tolist() == [2, 2, 0, 2]
    unit = heads / np.linalg.norm(heads, axis=-1, keepdims=True)
    wanted = [[unit[i, m] @ unit[j, m] for j in range(4) if j != i] for i in range(4) for m in range(2)]
    np.testing.assert_allclose(np.sort(cosines.reshape(8, 3)), np.sort(wanted), atol=1e-5)


def test_pairs_are_offered_in_place_of_classes(market):
    task = make(market, cosines_to="samples")
    batch = jax.tree.map(lambda leaf: leaf[:5], task.data[TRAIN])
    variables = jax.jit(task.init)(jax.random.key(0))
    inputs, _ = jax.jit(task.forward)(variables, batch, jax.random.key(1))
    assert inputs[BRANCH].arrays["cosine"].shape == (5, 1, 1, 4)
    assert "classes" not in variables["params"]


def test_triplet_loss_by_hand():
    vectors = jnp.array([[0.0, 0], [3, 4], [0, 1], [6, 8]])[:, None, None]  # [N, T = 1, 1, D]
    identity = jnp.array([1, 1, 2, 2]).reshape(-1, 1, 1, 1)
    inputs = LossInputs.create({"embedding": vectors, "identity": identity})
    distance = lambda i, j: np.linalg.norm(np.asarray(vectors[i] - vectors[j]))  # noqa: E731
    own = [distance(0, 1), distance(1, 0), distance(2, 3), distance(3, 2)]
    other = [min(distance(i, j) for j in others) for i, others in ((0, (2, 3)), (1, (2, 3)), (2, (0, 1)), (3, (0, 1)))]
    wanted = np.mean(np.maximum(np.array(own) - other + 0.3, 0))
    assert float(jax.jit(batch_hard_triplet)(inputs)) == pytest.approx(wanted, rel=1e-5)
    gradient_of = jax.jit(jax.grad(lambda x: batch_hard_triplet(LossInputs.create({"embedding": x, "identity": identity}))))
    gradient = gradient_of(vectors * 0)
    assert np.isfinite(gradient).all()


def test_an_auxiliary_loss_is_trained_beside_the_candidate(task):
    """The gradient of the sum, whichever family the candidate is of."""

    def forward(variables, batch, key):
        inputs, updated = task.forward(variables, batch, key)
        return {**inputs, "extra": inputs[BRANCH]}, updated

    extra = dataclasses.replace(
        task, forward=forward, auxiliary_losses={"extra": lambda inputs, axis_name: 3 * jnp.mean(inputs.arrays["cosine"])}
    )
    settings = TrainingSettings(batch_size=6, num_epochs=1)
    cosface = family("cosface")
    encoded, train = cosface.encode(cosface.defaults), task.data[TRAIN]
    plain, both = (Training(one, cosface, settings) for one in (task, extra))
    state = plain.begin(encoded, jax.random.key(0), train)
    alone, _, _ = jax.jit(plain.gradients)(state, encoded, train)
    together, _, _ = jax.jit(both.gradients)(state, encoded, train)
    batch, key = jax.jit(plain.batch)(state, train)
    cosine = jax.jit(task.forward)(state.variables, batch, key)[0][BRANCH].arrays["cosine"]
    assert float(together - alone) == pytest.approx(3 * float(cosine.mean()), abs=1e-4)
