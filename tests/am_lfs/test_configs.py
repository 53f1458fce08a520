"""The configs: the numbers of the paper, and parts that fit together."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmarks import lockstep
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.core.types import LossInputs
from jaxloss.systems.am_lfs.form import as_theta
from tests.errors import user_error

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", ["digits", "cifar10", "omniglot"])
def test_a_config_has_the_numbers_of_the_paper(name):
    config = load_config(str(CONFIGS / f"am_lfs_{name}.py"))
    space = config.space.am_lfs
    assert config.mode == "lockstep"
    assert (space.num_intervals, space.sigma, space.mean_learning_rate, space.start) == (6, 0.2, 0.05, "softmax")
    if name != "omniglot":
        assert config.lockstep.num_samples == 32


def test_the_config_of_digits_makes_a_plan():
    plan = make_plan(load_config(str(CONFIGS / "am_lfs_digits.py")))
    assert [one.name for one in plan.contenders] == ["cross_entropy", "gce", "sce", "focal"]
    assert plan.space.branches[0].form.inputs == ("logits", "target")


def test_the_softmax_branch_of_several_heads_is_replaced(tmp_path):
    """A retrieval network with heads has `[N, H, 1, C]` cosines: one loss for each head, as for MGN's branches."""
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (48, 12, 12, 1), dtype=np.uint8)
    labels, split = np.repeat(np.arange(12), 4), np.repeat(["train", "test"], 24)
    np.savez(tmp_path / "omniglot_7alphabets.npz", images28=images, labels=labels, drawer=np.tile([0, 1, 2, 3], 12), split=split)
    changes = {
        "data_dir": str(tmp_path),
        "task.retrieval.model_options": "{'features': (4, 8), 'embedding_size': 8}",
        "task.retrieval.verification": "true",
        "task.retrieval.identities_per_batch": "3",
        "task.retrieval.images_per_identity": "2",
        "training.batch_size": "6",
    }
    plan = make_plan(load_config(str(CONFIGS / "am_lfs_omniglot.py"), changes))
    assert "rank_1_distractors" in plan.task.also_shown
    form = plan.space.branches[0].form
    cosine = jnp.asarray(random.uniform(-1, 1, (3, 2, 1, 5)), jnp.float32)
    target = jax.nn.one_hot(jnp.array([[0, 0], [1, 1], [4, 4]]), 5)[:, :, None]
    values = form.values(
        form.encode(as_theta(np.array([[1.0] * 6, [0.0] * 6] * 2))), LossInputs.create({"cosine": cosine, "target": target})
    )
    wanted = -jnp.sum(target * jax.nn.log_softmax(4 * cosine), axis=-1, keepdims=True)
    np.testing.assert_allclose(values, wanted, rtol=1e-5)


@pytest.mark.slow
def test_the_benchmark_of_copies_writes_its_table(tmp_path, capsys):
    path = tmp_path / "out.json"
    lockstep.main(["--copies", "3", "--lanes", "2", "--repetitions", "1", "--json", str(path)])
    results = json.loads(path.read_text())
    rows = [(row["mode"], row["copies"], row["compilations"]) for row in results["rows"]]
    assert rows == [("serial", 1, 1), ("serial", 3, 1), ("vmap", 3, 1)]
    assert all(row["epoch_seconds"] > 0 for row in results["rows"])
    assert "times one copy" in capsys.readouterr().out


def test_a_round_is_no_longer_than_the_training():
    with user_error("lockstep.epochs_per_round (4) must not be above training.num_epochs (3)"):
        make_plan(load_config("tests/configs/tiny_lockstep.py", {"lockstep.epochs_per_round": "4"}))
