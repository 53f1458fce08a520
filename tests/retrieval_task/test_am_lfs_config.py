"""MGN with AM-LFS on its softmax branches and the triplet loss beside them: the config, what is summed, and a whole run."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxloss
from jaxloss import launch
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.core.types import LossInputs
from jaxloss.tasks.base import TRAIN
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training
from jaxloss.tasks.triplet import batch_hard_triplet

CONFIG = str(Path(__file__).parents[2] / "configs/am_lfs_market1501.py")
TINY = {
    "task.retrieval.image_size": "(96, 32)",
    "task.retrieval.model_options": "{'width': 2, 'depths': (1, 1, 1, 1), 'embedding_size': 16}",
    "task.retrieval.train_fraction": "0.6",
    "task.retrieval.identities_per_batch": "3",
    "task.retrieval.images_per_identity": "2",
    "task.retrieval.queries": "all",
    "training.batch_size": "6",
    # At 0.01 the weights of so small a network, untrained and without warm-up, grow tenfold in four steps.
    "training.learning_rate": "0.001",
    "training.num_epochs": "2.0",
    "training.step_epochs": "(1.0,)",
    "lockstep.num_samples": "3",
}
HEADS = 8


@pytest.fixture(scope="module")
def plan(market):
    return make_plan(load_config(CONFIG, {**TINY, "data_dir": str(market)}))


def test_the_numbers_are_those_of_the_papers():
    config = load_config(CONFIG)
    task, training, space = config.task.retrieval, config.training, config.space.am_lfs
    assert config.lockstep.num_samples == 32
    assert (space.num_intervals, space.sigma, space.mean_learning_rate) == (6, 0.2, 0.05)
    assert (task.model, task.image_size, task.identities_per_batch, task.images_per_identity) == ("mgn", (384, 128), 16, 4)
    assert (task.triplet_weight, task.triplet_margin) == (1.0, 1.2)
    assert (training.num_epochs, training.step_epochs, training.learning_rate) == (80.0, (40.0, 60.0), 0.01)


def test_a_candidate_has_all_heads_and_no_triplets(plan):
    batch = jax.tree.map(lambda leaf: leaf[:6], plan.task.data[TRAIN])
    key = jax.random.key(0)
    inputs, _ = jax.eval_shape(lambda: plan.task.forward(plan.task.init(key), batch, key))
    assert inputs["identity"].arrays["cosine"].shape == (6, HEADS, 1, 6)
    assert inputs["triplet"].arrays["embedding"].shape == (6, 3, 1, 16)
    assert [branch.name for branch in plan.space.branches] == ["identity"]


def test_what_is_trained_is_the_mean_over_heads_and_the_triplet_loss(plan):
    random = np.random.default_rng(0)
    cosine = jnp.asarray(random.uniform(-1, 1, (6, HEADS, 1, 6)), jnp.float32)
    persons = jnp.arange(6) // 2
    target = jnp.broadcast_to(jax.nn.one_hot(persons, 6)[:, None, None], cosine.shape)
    embedding = jnp.asarray(random.normal(size=(6, 3, 1, 4)), jnp.float32)
    inputs = {
        "identity": LossInputs.create({"cosine": cosine, "target": target}),
        "triplet": LossInputs.create({"embedding": embedding, "identity": persons.reshape(-1, 1, 1, 1)}),
    }
    # The mean of the distribution at its start: plain softmax.
    encoded = plan.space.encode(plan.space.distribution.centre(plan.space.distribution.start()))
    training = Training(plan.task, plan.space, TrainingSettings(batch_size=6))
    found = jax.jit(lambda inputs: training.loss(functools.partial(plan.space.loss, encoded), inputs))(inputs)
    softmax = -float(jnp.mean(jnp.sum(target * jax.nn.log_softmax(14 * cosine), axis=-1)))
    assert float(found) == pytest.approx(softmax + float(batch_hard_triplet(inputs["triplet"], margin=1.2)), rel=1e-5)


@pytest.mark.slow
@pytest.mark.users_compiler  # with that of the tests all copies meet NaN
def test_a_whole_run_on_a_tiny_folder(market, tmp_path):
    """Searches with learning and without, a replayed schedule, a rival, MGN(RK): each beside the triplet loss."""
    overrides = {
        **TINY,
        "lockstep.longer": "false",
        "lockstep.best_of": "false",
        "comparison.handcrafted": "()",
        "comparison.test_seeds": "2",
        "task.retrieval.rerank": "true",
        "quiet": "true",
        "data_dir": str(market),
    }
    arguments = [f"--config={CONFIG}", f"--workdir={tmp_path / 'run'}"]
    assert launch.main([*arguments, *(f"--config.{name}={value}" for name, value in overrides.items())]) == 0
    results = jaxloss.open_run(tmp_path / "run")
    assert len(results.summary["comparison"]) == 5
    assert all(0 < row["tuned"]["test_mean"] <= 1 for row in results.summary["comparison"])
    assert results.summary["final_scores"]
    module = {}
    exec((tmp_path / "run/learned_schedule.py").read_text(), module)
    assert len(module["SCHEDULE"]) == 2
    assert module["SCALE"] == 14.0
