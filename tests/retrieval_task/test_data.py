"""The data of the retrieval task: whom it trains on, whom it finds, and its batches."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.check import check_data
from jaxloss.tasks.chunks import map_chunks
from jaxloss.tasks.preparation import Preparation
from jaxloss.tasks.settings import TrainingSettings
from tests.retrieval_task.market import make, write_person


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


def test_examples_in_chunks_are_those_at_once():
    rows = jnp.arange(22.0).reshape(11, 2)
    for most in (1, 4, 11, 50):
        np.testing.assert_array_equal(map_chunks(lambda part: part**2, rows, most), rows**2)


def test_a_batch_is_whole_where_identities_have_fewer_images(market):
    """3 identities x 20 images a batch, of 36 images in all: an epoch is one batch, with repetitions."""
    task = make(market, identities_per_batch=3, images_per_identity=20)
    preparation = Preparation(task, TrainingSettings(batch_size=60))
    train = task.data[TRAIN]
    assert (preparation.batch_size(train), preparation.steps_per_epoch(train)) == (60, 1)
