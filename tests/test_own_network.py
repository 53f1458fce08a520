"""Networks from outside the package: Linen and NNX modules train, are scored and kept; mistakes in them are one line each."""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxloss
from examples.own_network import BottleneckModel
from jaxloss import launch
from jaxloss.tasks.check import check_task
from jaxloss.tasks.classification import BRANCH, make_classification
from jaxloss.tasks.classification_settings import ClassificationSettings
from jaxloss.tasks.models.nnx_network import nnx_network
from tests.errors import user_error

REPOSITORY = Path(__file__).parents[1]
LINEN, NNX = "examples.own_network:BottleneckNetwork", "examples.own_network:BottleneckModel"


def make(model, **options):
    return make_classification(ClassificationSettings("digits", train_limit=300, model=model, model_options=options))


def train(task, num_steps, rate=0.05):
    """Steps of SGD on the whole training split; the variables of the last one."""

    @jax.jit
    def step(variables, key):
        def loss(parameters):
            branches, updated = task.forward({**variables, "params": parameters}, task.data["train"], key)
            arrays = branches[BRANCH].arrays
            return optax.softmax_cross_entropy(arrays["logits"], arrays["target"]).mean(), updated

        gradient, updated = jax.grad(loss, has_aux=True)(variables["params"])
        return {**updated, "params": jax.tree.map(lambda value, slope: value - rate * slope, variables["params"], gradient)}

    variables = jax.jit(task.init)(jax.random.key(0))
    for index in range(num_steps):
        variables = step(variables, jax.random.key(index))
    return variables


@pytest.mark.parametrize("model", [LINEN, NNX])
def test_a_network_with_batch_norm_keeps_the_contract_and_learns(model):
    task = make(model, features=16)
    check_task(task, reads={BRANCH: ("prediction", "target", "prior")}, num_samples=5)
    assert task.details["network"] == model
    assert task.details["num_parameters"] == 64 * 16 + 16 + 2 * 16 + 16 * 10 + 10
    assert not task.native_convolution
    start = jax.jit(task.init)(jax.random.key(0))
    assert set(start) == {"params", "batch_stats"}
    seeds = [jax.tree.leaves(jax.jit(task.init)(jax.random.key(seed))["params"]) for seed in (0, 1)]
    assert sum(not np.allclose(*pair) for pair in zip(*seeds, strict=True)) == 2  # the two kernels
    variables = train(task, 40, rate=0.5)
    assert jax.tree.structure(start) == jax.tree.structure(variables)
    moved = jax.tree.leaves(jax.tree.map(lambda before, after: float(abs(before - after).max()), start, variables))
    # Parameters and statistics, but for the bias before BatchNorm, which takes it away again.
    assert sorted(moved)[1] > 1e-3
    assert jax.jit(task.scores)(variables, task.data["test"])["accuracy"] > 0.85


def test_linen_and_nnx_are_the_same_network():
    linen, model = make(LINEN, features=16), make(NNX, features=16)
    given = linen.init(jax.random.key(3))
    names = {"first": "Dense_0", "norm": "BatchNorm_0", "last": "Dense_1"}
    variables = {
        collection: {own: given[collection][other] for own, other in names.items() if other in given[collection]}
        for collection in given
    }
    assert jax.tree.structure(variables) == jax.tree.structure(model.init(jax.random.key(0)))
    examples = model.data["train"]
    for _ in range(3):
        (one, given), (other, variables) = (
            task.forward(state, examples, jax.random.key(1)) for task, state in ((linen, given), (model, variables))
        )
        np.testing.assert_allclose(one[BRANCH].arrays["logits"], other[BRANCH].arrays["logits"], rtol=1e-4, atol=1e-4)
    scores = [float(task.scores(state, task.data["test"])["accuracy"]) for task, state in ((linen, given), (model, variables))]
    assert scores[0] == pytest.approx(scores[1], abs=0.005)


class DroppedModel(nnx.Module):
    """Dropout, a convolution, and a list of layers."""

    def __init__(self, num_classes, dtype="float32", *, rngs):
        self.convolution = nnx.Conv(1, 2, (3, 3), dtype=jnp.dtype(dtype), rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(128, 8, rngs=rngs), nnx.Linear(8, num_classes, dtype=jnp.dtype(dtype), rngs=rngs)])

    def __call__(self, images):
        hidden = self.convolution(images).reshape(len(images), -1)
        for layer in self.layers:
            hidden = layer(self.dropout(hidden))
        return hidden


def test_random_numbers_of_an_nnx_module_come_from_the_key_of_the_step():
    task = make(f"{__name__}:DroppedModel")
    assert task.native_convolution
    variables = jax.jit(task.init)(jax.random.key(0))
    assert set(variables) == {"params"}
    batch = jax.tree.map(lambda array: array[:4], task.data["train"])
    logits = [task.forward(variables, batch, jax.random.key(seed))[0][BRANCH].arrays["logits"] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(logits[0], logits[1])
    assert not np.allclose(logits[0], logits[2])
    scores = [task.scores(variables, task.data["test"])["accuracy"] for _ in range(2)]
    assert scores[0] == scores[1]


def test_logits_are_float32_whatever_the_network_computes_in():
    settings = ClassificationSettings("digits", model=f"{__name__}:DroppedModel", precision="bfloat16")
    task = make_classification(settings)
    branches, _ = jax.eval_shape(task.forward, jax.jit(task.init)(jax.random.key(0)), task.data["train"], jax.random.key(0))
    assert branches[BRANCH].arrays["logits"].dtype == jnp.float32


def test_an_nnx_module_is_made_once_and_left_as_it_was():
    made = []

    def factory(rngs):
        made.append(1)
        return BottleneckModel(3, 4, 2, rngs=rngs)

    network = nnx_network(factory)
    variables = network.init(jax.random.key(0), None)
    before = jax.tree.map(np.array, variables)
    count = len(made)
    for _ in range(2):
        network.train(variables, jnp.ones((5, 2, 2, 1)), jax.random.key(0))
    assert len(made) == count
    jax.tree.map(np.testing.assert_array_equal, before, variables)


@pytest.mark.parametrize("model", [LINEN, NNX])
def test_a_run_with_an_own_network(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    overrides = {
        "mode": "train",
        "loss": "cross_entropy",
        "task.name": "classification",
        "task.classification.model": model,
        "task.classification.model_options.features": "12",
    }
    arguments = ["--config=tests/configs/tiny.py", f"--workdir={tmp_path}"]
    assert launch.main(arguments + [f"--config.{key}={value}" for key, value in overrides.items()]) == 0, capsys.readouterr()
    assert jaxloss.open_run(tmp_path).summary["task_details"]["network"] == model


def no_network(num_classes):
    return num_classes


def without_rngs(num_classes):
    return BottleneckModel(num_classes, rngs=nnx.Rngs(0))


def wrong_shape(num_classes, rngs):
    return BottleneckModel(num_classes + 1, rngs=rngs)


class TwoOutputs(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images):
        return nn.Dense(self.num_classes)(images.reshape(len(images), -1)), images


class Broken(nn.Module):
    num_classes: int

    def __call__(self, images, train):
        raise ValueError("no layers")


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("mlpp", {}, "unknown task.classification.model 'mlpp'. Did you mean 'mlp'?"),
        ("examples.own_network:Nothing", {}, "has no 'Nothing'"),
        (LINEN, {"feature": 3}, "own_network:BottleneckNetwork' 'feature'. Did you mean 'features'?"),
        (NNX, {"width": 3}, "unknown option of the model 'examples.own_network:BottleneckModel' 'width'"),
        (NNX, {"rngs": 3}, "task.classification.model_options.rngs is no option"),
        (NNX, {"num_pixels": 7}, "the model 'examples.own_network:BottleneckModel' raises"),
        (f"{__name__}:no_network", {}, "must be a Linen module, or an NNX module whose factory takes rngs, not an int"),
        (f"{__name__}:without_rngs", {}, "or an NNX module whose factory takes rngs, not a BottleneckModel"),
        (f"{__name__}:wrong_shape", {}, "must give logits, float32[2, 10] for 2 examples, and gives float32[2, 11]"),
        (f"{__name__}:TwoOutputs", {}, "must give logits, float32[2, 10] for 2 examples, and gives (float32[2, 10], float32"),
        (f"{__name__}:Broken", {}, "raises ValueError: no layers"),
    ],
)
def test_mistakes_are_one_line_each(model, options, message):
    with user_error(message):
        make(model, **options)


def test_a_network_without_dtype_computes_in_float32():
    with user_error("task.classification.precision=bfloat16 needs a factory with a parameter dtype", "BottleneckNetwork"):
        make_classification(ClassificationSettings("digits", model=LINEN, precision="bfloat16"))
