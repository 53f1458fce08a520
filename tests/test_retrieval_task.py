"""The retrieval task, from a folder in Market's layout to a search, and what it owes to the paper."""

import ast
import dataclasses
import json
import shlex
import subprocess
import sys
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from experiments.autoloss_gms_reid import table
from jaxloss.config import wiring
from jaxloss.config.file import apply_overrides, load_config
from jaxloss.core.errors import UserError
from jaxloss.core.problem import COSINES
from jaxloss.core.types import LossInputs
from jaxloss.spaces.families import family
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.check import check_data
from jaxloss.tasks.chunks import map_chunks
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.metrics.retrieval import retrieval_scores
from jaxloss.tasks.models.cosine import CosineClassifiers, pair_cosines
from jaxloss.tasks.models.embedding_cnn import EmbeddingCNN
from jaxloss.tasks.models.embeddings import Embeddings
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.retrieval import make_retrieval
from jaxloss.tasks.retrieval_inputs import BRANCH
from jaxloss.tasks.retrieval_scores import RANKS, make_features, make_scores
from jaxloss.tasks.retrieval_settings import RetrievalSettings
from jaxloss.tasks.settings import TrainingSettings
from jaxloss.tasks.train import Training
from jaxloss.tasks.triplet import batch_hard_triplet
from tests.pytorch_networks import resnet_state

ROOT = Path(__file__).parents[1]
SPACE = autoloss_gms()


def colour(person):
    """Persons differ by the colours of their upper and lower half."""
    random = np.random.default_rng(person + 1)
    return np.repeat(random.integers(40, 216, (2, 1, 3)), 8, axis=0)


def write_person(folder, person, camera, number):
    random = np.random.default_rng((person + 1, camera, number))
    image = np.clip(colour(person) + random.normal(0, 25, (16, 8, 3)), 0, 255).astype(np.uint8)
    name = f"{person:04d}" if person >= 0 else "-1"
    Image.fromarray(image).save(folder / f"{name}_c{camera}s1_{number:06d}_01.jpg", quality=95)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """Ten persons to train on, five others to be found, a distractor and junk; two cameras."""
    root = tmp_path_factory.mktemp("data") / "Market-1501"
    parts = {"bounding_box_train": range(1, 11), "bounding_box_test": [0, -1, *range(20, 25)], "query": range(20, 25)}
    for part, persons in parts.items():
        (root / part).mkdir(parents=True)
        for person in persons:
            for camera in (1, 2):
                for number in range(1 if part == "query" else 3):
                    write_person(root / part, person, camera, number + 100 * (part == "query"))
    return root.parent


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


@pytest.fixture(scope="module")
def task(market):
    return make(market)


# --- data ----------------------------------------------------------------------------------------------------------------------


def test_splits_share_no_identity_and_the_test_set_is_the_published_one(task):
    check_data(task)
    assert set(np.unique(task.data[TRAIN]["identity"])) == set(range(6))
    assert task.details["identities_search_eval"] == 4
    test = task.data[TEST]
    assert int(test["query"].sum()) == 10
    assert int(test["gallery"].sum()) == 42
    assert set(np.unique(test["identity"])) == {-1, 0, 20, 21, 22, 23, 24}
    other = task.with_division(1)
    assert not np.array_equal(other.data[SEARCH_EVAL]["image"], task.data[SEARCH_EVAL]["image"])
    assert np.array_equal(other.data[TEST]["image"], test["image"])


def test_all_training_identities_are_trained_on_when_asked_for(market):
    task = make(market, train_on_all=True)
    assert set(np.unique(task.data[TRAIN]["identity"])) == set(range(10))


def test_a_foreign_test_set_takes_the_place_of_the_own_one(market, tmp_path):
    folder = tmp_path / "other"
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        (folder / part).mkdir(parents=True)
        for person in (7, 8, 9):
            for camera in (1, 2):
                write_person(folder / part, person, camera, 5)
    task = make(market, test_source=f"market:{folder}")
    assert task.name == "Market-1501, tested on other"
    assert set(np.unique(task.data[TEST]["identity"])) == {7, 8, 9}
    assert set(np.unique(task.data[TRAIN]["identity"])) == set(range(6))


def test_epochs_are_made_of_pk_batches(task):
    order = task.order(jax.random.key(0), task.data[TRAIN])
    assert order.shape == (36,)
    for batch in np.asarray(task.data[TRAIN]["identity"])[np.asarray(order)].reshape(6, 3, 2):
        assert (batch[:, 0] == batch[:, 1]).all()
        assert len(set(batch[:, 0])) == 3


# --- what the loss sees --------------------------------------------------------------------------------------------------------


def test_the_loss_sees_cosines_to_the_training_identities(task):
    variables = task.init(jax.random.key(0))
    batch = jax.tree.map(lambda leaf: leaf[:5], task.data[TRAIN])
    inputs, updated = task.forward(variables, batch, jax.random.key(1))
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
    (embeddings, cosine), variables = module.init_with_output(jax.random.key(0), images)
    directions = np.asarray(variables["params"]["classes"])[0]
    assert directions.std() * np.sqrt(8) == pytest.approx(0.5, rel=0.05)
    heads = np.asarray(embeddings.heads)[:, 0]
    wanted = heads @ directions / np.linalg.norm(heads, axis=1)[:, None] / np.linalg.norm(directions, axis=0)
    np.testing.assert_allclose(cosine[:, 0], wanted, atol=1e-5)


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
    scores = task.scores(task.init(jax.random.key(0)), task.data[TEST])
    for rank in (1, 2, 4, 8):
        assert float(scores[f"recall_{rank}"]) == float(scores[f"rank_{rank}"])


def test_pair_cosines_leave_the_sample_itself_out():
    random = np.random.default_rng(0)
    heads, identities = random.normal(size=(4, 2, 3)).astype(np.float32), jnp.array([7, 7, 3, 7])
    cosines, same = pair_cosines(jnp.asarray(heads), identities)
    assert cosines.shape == same.shape == (4, 2, 3)
    assert same[:, 0].sum(-1).tolist() == [2, 2, 0, 2]
    unit = heads / np.linalg.norm(heads, axis=-1, keepdims=True)
    wanted = [[unit[i, m] @ unit[j, m] for j in range(4) if j != i] for i in range(4) for m in range(2)]
    np.testing.assert_allclose(np.sort(cosines.reshape(8, 3)), np.sort(wanted), atol=1e-5)


def test_pairs_are_offered_in_place_of_classes(market):
    task = make(market, cosines_to="samples")
    batch = jax.tree.map(lambda leaf: leaf[:5], task.data[TRAIN])
    variables = task.init(jax.random.key(0))
    inputs, _ = task.forward(variables, batch, jax.random.key(1))
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
    assert float(batch_hard_triplet(inputs)) == pytest.approx(wanted, rel=1e-5)
    gradient = jax.grad(lambda x: batch_hard_triplet(LossInputs.create({"embedding": x, "identity": identity})))(vectors * 0)
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
    alone, _, _ = plain.gradients(state, encoded, train)
    together, _, _ = both.gradients(state, encoded, train)
    batch, key = plain.batch(state, train)
    cosine = task.forward(state.variables, batch, key)[0][BRANCH].arrays["cosine"]
    assert float(together - alone) == pytest.approx(3 * float(cosine.mean()), abs=1e-4)


# --- training ------------------------------------------------------------------------------------------------------------------


def test_a_training_learns_to_find_unseen_persons(task):
    settings = TrainingSettings(batch_size=6, num_epochs=25, optimiser="adam")
    training = Training(task, SPACE, settings)
    encoded = SPACE.encode(SPACE.parse("t: Minus(x, 0.1) | n: x | log2_s: 4"))
    before = task.scores(task.init(jax.random.key(0)), task.data[TEST])
    outcome = training.run(encoded, 0.01, 0, task.data, TEST)
    assert outcome.score == outcome.scores["mAP_step"]
    assert outcome.score > max(0.6, float(before["mAP_step"]) + 0.1)
    training.run(SPACE.encode(SPACE.parse("t: x | n: Exp(x) | log2_s: 2")), 0.01, 0, task.data, TEST)
    assert training.compilations == 1


def test_batches_by_identity_may_be_streamed(task, market):
    """The identities stay on the device, the images come batch by batch; network and data order end bit for bit the same."""
    settings, cosface = TrainingSettings(batch_size=6, num_epochs=2), family("cosface")
    outcomes = []
    for one in (task, make(market, training_data="streamed")):
        training = Training(one, cosface, settings, "steps")
        encoded = cosface.encode(cosface.defaults)
        outcomes.append(training.run(encoded, 0.05, 3, one.data, SEARCH_EVAL, keep_end=True))
    device, streamed = outcomes
    assert device.steps == 12
    assert streamed.scores == device.scores
    chex.assert_trees_all_equal(streamed.end, device.end)


def test_a_backbone_stands_still_while_it_is_frozen(task):
    """Its parameters and its running statistics, bit by bit; then it moves."""

    def backbone(tree):  # the first convolution plays the part
        def marked(part, mark):
            return jax.tree.map(lambda _: mark, part)

        network = {name: marked(part, name[-2:] == "_0") for name, part in tree["network"].items()}
        return {**{name: marked(part, False) for name, part in tree.items()}, "network": network}

    frozen = dataclasses.replace(task, backbone=backbone)
    settings = TrainingSettings(batch_size=6, num_epochs=4, frozen_epochs=2, weight_decay=1e-2)
    cosface = family("cosface")
    training = Training(frozen, cosface, settings)
    encoded, train = cosface.encode(cosface.defaults), task.data[TRAIN]
    start = training.begin(encoded, jax.random.key(0), train)
    half = training.advance(start, encoded, jnp.float32(0.1), train, 12)
    end = training.advance(half, encoded, jnp.float32(0.1), train, 12)

    def parts(state, collection, suffix):
        return [leaf for name, part in state.variables[collection]["network"].items() if name.endswith(suffix)
                for leaf in jax.tree.leaves(part)]  # fmt: skip

    for collection in ("params", "batch_stats"):
        before, middle, after = (parts(state, collection, "_0") for state in (start, half, end))
        assert all(map(np.array_equal, before, middle))
        assert not any(map(np.array_equal, middle, after))
        assert not any(map(np.array_equal, *(parts(state, collection, "_1") for state in (start, half))))


def test_no_momentum_builds_up_while_the_backbone_is_frozen():
    settings = TrainingSettings(frozen_epochs=3, schedule="constant", weight_decay=0.1)
    ones = {"backbone": jnp.ones(2), "rest": jnp.ones(2)}
    optimiser = settings.make_optimiser(10, 1, lambda tree: {"backbone": True, "rest": False})
    state, updates = optimiser.init(ones), []
    for _ in range(4):
        update, state = optimiser.update(ones, state, ones)
        updates.append({name: float(leaf[0]) for name, leaf in update.items()})
    assert [update["backbone"] for update in updates] == pytest.approx([0, 0, 0, 1.1])
    assert updates[3]["rest"] == pytest.approx(1.1 * (1 + 0.9 + 0.81 + 0.729))


def test_pretrained_weights_reach_the_backbone_and_nothing_else(market, tmp_path):
    """The same in every training; the classifiers and the layers behind the backbone are initialised by the seed."""
    depths, width = (1, 1, 1, 1), 4
    shapes = resnet_state(depths, width)
    random = np.random.default_rng(0)
    tensors = {name: random.uniform(0.5, 1, np.shape(tensor)).astype(np.float32) for name, tensor in shapes.items()}
    save_file(tensors, tmp_path / "weights.safetensors")
    options = {"model": "resnet50", "model_options": {"depths": depths, "width": width}, "image_size": (32, 16)}
    task = make(market, pretrained=str(tmp_path / "weights.safetensors"), **options)
    first, second = (jax.jit(task.init)(jax.random.key(seed)) for seed in (0, 1))
    stem = first["params"]["network"]["backbone"]["conv1"]["kernel"]
    np.testing.assert_array_equal(stem, tensors["conv1.weight"].transpose(2, 3, 1, 0))
    mask = task.backbone(first["params"])
    same = jax.tree.map(np.array_equal, first["params"], second["params"])
    assert all(jax.tree.leaves(same["network"]["backbone"]))
    assert not same["classes"]
    assert all(jax.tree.leaves(mask["network"]["backbone"]))
    assert not mask["classes"]
    assert not any(jax.tree.leaves({name: part for name, part in mask["network"].items() if name != "backbone"}))
    statistics = first["batch_stats"]["network"]["backbone"]["bn1"]
    np.testing.assert_array_equal(statistics["mean"], tensors["bn1.running_mean"])


def test_steps_and_warm_up_follow_section_g():
    """140 epochs: from 1% of the rate to all of it in 20 epochs, a tenth of it from epoch 60, a hundredth from epoch 100."""
    settings = TrainingSettings(
        num_epochs=140, schedule="steps", warmup_epochs=20, warmup_start=0.01, step_epochs=(60.0, 100.0), step_factor=0.1
    )
    factor = settings.rate_factor(1400, 10)
    found = [float(factor(step)) for step in (0, 100, 200, 599, 601, 999, 1001, 1399)]
    np.testing.assert_allclose(found, [0.01, 0.505, 1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-4)
    with pytest.raises(UserError, match="step_epochs must rise"):
        TrainingSettings(warmup_epochs=20, step_epochs=(10.0,))
    with pytest.raises(UserError, match=r"step_epochs \(100\) must end before the training does: training.num_epochs is 80"):
        TrainingSettings(num_epochs=80, schedule="steps", step_epochs=(60.0, 100.0))


def test_examples_in_chunks_are_those_at_once():
    rows = jnp.arange(22.0).reshape(11, 2)
    for most in (1, 4, 11, 50):
        np.testing.assert_array_equal(map_chunks(lambda part: part**2, rows, most), rows**2)


# --- mistakes ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "map"}, r"unknown task.retrieval.metric 'map'"),
        ({"metric": "recall_1"}, "recall_1 is for images without cameras; .* rank_1"),
        ({"cosines_to": "class"}, r"Did you mean 'classes'"),
        ({"triplet_weight": 1.0}, "'embedding_cnn' has none"),
        (
            {"cosines_to": "samples", "images_per_identity": 1},
            "cosines_to=samples compares the images of a batch: .* 3 and 1",
        ),
        ({"triplet_weight": 1.0, "identities_per_batch": 1}, "triplet_weight compares the images of a batch: .* not 1 and 2"),
        ({"toy_variable": "angle"}, "toy_variable"),
        ({"pretrained": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"pixel_mean": (0.1, 0.2)}, "pixel_mean takes one number, or one for each of 3 channels"),
        ({"pixel_deviation": ()}, "pixel_deviation takes one number"),
        ({"identities_per_batch": 7}, "identities_per_batch is 7, but there are 6 training identities"),
        ({"augmentation": "crop", "augmentation_options": {"pading": 1}}, "Did you mean 'padding'"),
        ({"augmentation": "crop", "augmentation_options": {"fill": 0.5}}, "unknown option of the augmentation 'crop' 'fill'"),
        ({"augmentation": "crop", "augmentation_options": {"padding": -1}}, "padding of an augmentation"),
        ({"augmentation": "crop_erase", "augmentation_options": {"area": 0.5}}, "task.retrieval.augmentation_options do not fit"),
        ({"model_options": {"features": ("many",)}}, "task.retrieval.model_options do not fit"),
        ({"test_source_options": {"validation": "unused"}}, "test_source_options are of a test_source"),
        ({"augmentation": "crop_erase", "augmentation_options": {"probability": 2}}, "random erasing cannot have probability 2"),
    ],
)
def test_mistakes_are_one_line(market, options, message):
    with pytest.raises(UserError, match=message) as error:
        make(market, **options)
    assert "\n" not in str(error.value)


MARKET_CONFIG = ROOT / "configs" / "autoloss_gms_market1501.py"
TINY = {
    "task.retrieval.image_size": "(16, 8)",
    "task.retrieval.model": "embedding_cnn",
    "task.retrieval.train_fraction": "0.6",
    "task.retrieval.augmentation": "crop",
    "task.retrieval.augmentation_options.padding": "1",
    "task.retrieval.identities_per_batch": "3",
    "task.retrieval.images_per_identity": "2",
    "training.batch_size": "6",
    "training.num_epochs": "3.0",
    "training.warmup_epochs": "0.5",
    "training.frozen_epochs": "0.0",
    "training.step_epochs": "(1.0, 2.0)",
}


def test_market_config_is_the_papers():
    config = load_config(str(MARKET_CONFIG))
    space, search = config.space.autoloss_gms, config.search
    table_2 = (space.num_constants, space.max_operators, space.scale_step, space.num_scales, space.constant_step)
    assert (*table_2, space.num_constant_values) == (2, 10, 0.5, 20, 0.05, 20)
    assert (space.crossover_probability, space.copy_probability, space.reinitialise_probability) == (0.6, 0.1, 0.4)
    assert space.max_mutations == 3
    properties = config.filters.properties
    assert (properties.fraction, properties.num_points, properties.digits) == (0.8, 257, 13)
    assert (config.filters.rejection.minimum_metric, config.filters.rejection.num_samples) == (0.9, 64)
    chooser = search.chooser
    assert (chooser.start_after, chooser.update_every, chooser.candidates) == (100, 100, 10)
    predictor = chooser.predictor
    assert (predictor.depth, predictor.batch_size, predictor.num_epochs, predictor.learning_rate) == (50, 16, 200, 0.0035)
    assert (predictor.rank_temperature, predictor.rank_weight) == (0.01, 1.0)
    evolution = search.evolution
    assert (evolution.initial_population, evolution.population_size, evolution.tournament_ratio) == (20, 1000, 0.05)
    assert (search.num_trainings, search.generation_size, len(search.seeds)) == (500, 1, 10)


def test_market_config_trains_as_section_g_says():
    config = load_config(str(MARKET_CONFIG))
    training, task = config.training, config.task.retrieval
    assert (training.optimiser, training.momentum, training.weight_decay) == ("sgd", 0.9, 5e-4)
    assert (training.num_epochs, training.warmup_epochs, training.frozen_epochs) == (140.0, 20.0, 20.0)
    assert training.learning_rate == 0.01
    assert training.learning_rate * training.warmup_start == pytest.approx(0.0001)
    assert (training.schedule, training.step_epochs, training.step_factor) == ("steps", (60.0, 100.0), 0.1)
    assert (task.identities_per_batch, task.images_per_identity, training.batch_size) == (16, 4, 64)
    assert (task.image_size, task.train_fraction, task.train_on_all) == ((128, 64), 0.8, False)
    assert (task.model, task.augmentation, task.flip_test) == ("resnet50", "crop_flip_erase", True)
    assert config.filters.rejection.enabled
    assert config.filters.properties.enabled
    assert config.search.chooser.enabled


def test_the_final_training_of_the_market_config_halves_nothing():
    """By the command that the config itself gives: full resolution, the padding that goes with it, all identities."""
    document = ast.get_docstring(ast.parse(MARKET_CONFIG.read_text()))
    (command,) = (shlex.split(line) for line in document.splitlines() if "mode=train" in line)
    given = dict(part.removeprefix("--config.").split("=", 1) for part in command if part.startswith("--config."))
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {key: value for key, value in given.items() if key.startswith("task.")})
    task = config.task.retrieval
    assert (task.image_size, task.augmentation_options.padding, task.train_on_all) == ((256, 128), 10, True)


def test_the_toy_optimisation_asks_for_90_percent_and_not_for_a_gain(market):
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {**TINY, "data_dir": str(market)})
    task, space = wiring.make_task(config), wiring.make_space(config)
    (cascade,) = wiring.make_cascades(config, space, task).values()
    problem = wiring.make_problems(config, task)(COSINES)[BRANCH]
    assert problem.start.shape == (64, 1, 1, 16)
    start = float(problem.metrics(problem.start).mean())
    assert cascade.filter("rejection").protocol.settings.gain(problem) + start == pytest.approx(0.9)


def test_batch_size_and_pk_must_agree(market):
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {**TINY, "data_dir": str(market), "training.batch_size": "64"})
    with pytest.raises(UserError, match=r"training.batch_size \(64\) must be identities_per_batch x images_per_identity = 3 x 2"):
        wiring.make_task(config)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"mode": "train", "comparison.divisions": "(0, 1)", "task.retrieval.train_on_all": "true"}, "name one, such as"),
        ({"mode": "compare", "task.retrieval.rerank": "true"}, "mode=compare keeps none"),
    ],
)
def test_settings_that_would_be_repeated_or_ignored(market, overrides, message):
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {**TINY, "data_dir": str(market), **overrides})
    with pytest.raises(UserError, match=message):
        wiring.make_task(config)


def test_a_batch_is_whole_where_identities_have_fewer_images(market):
    """3 identities x 20 images a batch, of 36 images in all: an epoch is one batch, with repetitions."""
    task = make(market, identities_per_batch=3, images_per_identity=20)
    preparation = Preparation(task, TrainingSettings(batch_size=60))
    train = task.data[TRAIN]
    assert (preparation.batch_size(train), preparation.steps_per_epoch(train)) == (60, 1)


def test_pretrained_file_of_a_config(market):
    config = load_config(str(MARKET_CONFIG))
    apply_overrides(config, {**TINY, "data_dir": str(market), "task.retrieval.pretrained": "nowhere.safetensors"})
    with pytest.raises(UserError, match=r"nowhere\.safetensors"):
        wiring.make_task(config)
    with pytest.raises(UserError, match=r"pretrained does nothing in this run: it is read by task\.name=retrieval, and this run"):
        load_config(str(MARKET_CONFIG), {"task.name": "fast", "task.retrieval.pretrained": "nowhere.safetensors"})
    with pytest.raises(UserError, match=r"unknown config key 'model\.pretrained'\. It is 'task\.retrieval\.pretrained' now"):
        load_config(str(MARKET_CONFIG), {"model.pretrained": "nowhere.safetensors"})


def launch(*arguments):
    command = [sys.executable, "-m", "jaxloss.launch", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)


def test_market_config_searches_a_tiny_folder(market, tmp_path, capsys):
    """A whole run, with the chooser at work: curves, funnel and formulas in the report, t, n and s in the export."""
    workdir = tmp_path / "run"
    overrides = {
        **TINY,
        "data_dir": market,
        "search.num_trainings": 10,
        "search.seeds_per_candidate": 1,
        "search.chooser.start_after": 4,
        "search.chooser.update_every": 4,
        "search.chooser.candidates": 3,
        "search.chooser.predictor.depth": 10,
        "search.chooser.predictor.width": 4,
        "search.chooser.predictor.num_epochs": 2,
        "search.evolution.initial_population": 4,
        "search.seeds": "('t: Minus(x, 0.35) | n: x | log2_s: 5',)",
        "filters.rejection.num_samples": 16,
        "comparison.handcrafted": "('cosface',)",
        "comparison.rank_candidates": 2,
        "comparison.rank_seeds": 1,
        "comparison.num_found": 1,
        "comparison.tuning_trainings": 4,
        "comparison.tuning_finalists": 1,
        "comparison.tuning_seeds": 1,
        "comparison.test_seeds": 2,
    }
    arguments = [f"--config.{key}={value}" for key, value in overrides.items()]
    result = launch(f"--config={MARKET_CONFIG}", *arguments, f"--workdir={workdir}")
    assert result.returncode == 0, result.stderr
    summary = json.loads((workdir / "summary.json").read_text())
    counts = summary["counts"]
    assert counts["trained"] == 10
    assert counts["rejected"]["not_promising"] > 0
    assert counts["rejected"]["own_not_rising"] > 0
    assert counts["proposed"] == counts["trained"] + counts["equivalent"] + sum(counts["rejected"].values())
    tuned = summary["comparison"][0]["tuned"]
    assert set(tuned["hyperparameters"]) == {"log2_s"}
    assert tuned["test_scores"]["mAP_step"] == [value for _, _, value in tuned["scores"]]
    assert np.mean(tuned["test_scores"]["rank_1"]) == pytest.approx(tuned["test_means"]["rank_1"])
    table.main([str(workdir / "summary.json"), "--first", "cosface"])
    lines = capsys.readouterr().out.splitlines()
    ours, theirs = (np.array(row["tuned"]["test_scores"]["mAP_step"]) for row in summary["comparison"])
    (paired,) = [line for line in lines if line.startswith("| found 1") and "[" in line]
    assert f" {np.mean(theirs - ours):+.4f} [" in paired
    assert set(summary["compilations"].values()) == {1}
    page = (workdir / "report.html").read_text()
    assert "a look at the curves" in page
    assert "the choice of the most promising" in page
    assert "Circle, m = 0.25, for reference" in page
    export = subprocess.run(
        [sys.executable, "-m", "jaxloss.export", workdir], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert export.returncode == 0, export.stderr
    module = {}
    exec(export.stdout, module)
    cosine, target = jnp.array([[0.3, -0.2], [0.1, 0.5]]), jnp.array([[1.0, 0.0], [0.0, 1.0]])
    space = autoloss_gms()
    candidate = space.parse(summary["ranking"][0]["formula"])
    inputs = {"identity": LossInputs.create({"cosine": cosine[:, None, None], "target": target[:, None, None]})}
    assert float(module["loss"](cosine, target)) == pytest.approx(float(space.loss(space.encode(candidate), inputs)), rel=1e-5)
