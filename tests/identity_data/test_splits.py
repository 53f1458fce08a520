"""Splits by identity, and which images ask and answer."""

import numpy as np
import pytest

from jaxloss.core.errors import UserError
from jaxloss.tasks.data.identities.roles import has_match, with_roles
from jaxloss.tasks.data.identities.source import identified_images
from jaxloss.tasks.data.identities.split import split_identities, with_held_out_test
from tests.identity_data.numbered import numbers_of, tiny_source


def test_split_by_identity():
    source = tiny_source()
    splits = split_identities(source, 0.8, seed=0)
    train, held_out, test = splits["train"], splits["search_eval"], splits["test"]
    assert (len(train), len(held_out), len(test)) == (32, 8, 12)
    # Nobody is in both, and nothing is lost.
    assert set(numbers_of(train)) | set(numbers_of(held_out)) == set(range(40))
    assert not {number // 4 for number in numbers_of(train)} & {number // 4 for number in numbers_of(held_out)}
    # Numbered anew, one number for one identity; the others keep theirs.
    assert train.num_identities == 8
    assert sorted(set(train.identities)) == list(range(8))
    assert train.identities.dtype == np.int32
    assert len({(number // 4, identity) for number, identity in zip(numbers_of(train), train.identities, strict=True)}) == 8
    assert (held_out.identities == [5 + 3 * (number // 4) for number in numbers_of(held_out)]).all()
    assert held_out.is_query.all()
    assert held_out.is_gallery.all()
    assert test.is_query.all()
    assert not train.has_roles

    again, other = split_identities(source, 0.8, seed=0), split_identities(source, 0.8, seed=1)
    assert numbers_of(again["train"]) == numbers_of(train)
    assert numbers_of(other["train"]) != numbers_of(train)
    assert len(other["train"]) == 32
    assert numbers_of(other["test"]) == numbers_of(test)


def test_train_on_all_and_limits():
    splits = split_identities(tiny_source(), train_on_all=True)
    assert set(splits) == {"train", "test"}
    assert splits["train"].num_identities == 10
    splits = split_identities(tiny_source(), 0.5, train_limit=3, search_eval_limit=2)
    assert [splits[name].num_identities for name in ("train", "search_eval", "test")] == [3, 2, 3]
    assert sorted(set(splits["train"].identities)) == [0, 1, 2]


def test_test_set_by_identity_where_there_is_none():
    source = tiny_source(with_test=False)
    held_out = with_held_out_test(source, 0.3, seed=0)
    assert held_out.train.num_identities == 7
    assert held_out.test.num_identities == 3
    assert not set(held_out.train.identities) & set(held_out.test.identities)
    assert with_held_out_test(tiny_source(), 0.3, seed=0).test.num_identities == 3
    assert split_identities(held_out)["test"].is_query.all()


def test_one_query_per_camera():
    source = tiny_source()  # four images of each identity, two from each of two cameras
    splits = split_identities(source, 0.8, seed=0, queries="one_per_camera")
    for part in (splits["search_eval"], splits["test"]):
        assert (part.is_query != part.is_gallery).all()
        queries = part.take(part.is_query)
        assert len(set(zip(queries.identities.tolist(), queries.cameras.tolist(), strict=True))) == len(queries)
        assert len(queries) == len(part) // 2
        assert has_match(part).all()
    other = split_identities(source, 0.8, seed=4, queries="one_per_camera")
    np.testing.assert_array_equal(other["test"].is_query, splits["test"].is_query)


def test_which_queries_have_a_match():
    identities = np.array([1, 1, 2, 2, 3, -1, 0])
    cameras = np.array([0, 1, 0, 0, 0, 1, 0])
    images = np.zeros((7, 1, 1, 1), np.uint8)
    seen = with_roles(identified_images(images, identities, cameras, "here"), "all", 0, "here")
    assert seen.is_query.tolist() == [True] * 5 + [False, True]
    assert seen.is_gallery.all()
    assert has_match(seen).tolist() == [True, True, False, False, False, False]
    # Without cameras every other image of the identity is a match.
    without = with_roles(identified_images(images, identities, None, "here"), "all", 0, "here")
    assert has_match(without).tolist() == [True, True, True, True, False, False]
    # Junk stays in the gallery.
    junk = identified_images(images[:4], np.array([1, 1, 1, -1]), np.array([0, 0, 1, 1]), "here")
    junk = with_roles(junk, "one_per_camera", 0, "here")
    assert junk.is_query.tolist()[2:] == [True, False]
    assert junk.is_gallery.tolist()[2:] == [False, True]
    # Published roles are kept.
    published = identified_images(images, identities, cameras, "here", np.arange(7) == 0, np.arange(7) > 0)
    assert with_roles(published, "one_per_camera", 0, "here") is published


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        (tiny_source(), {"fraction": 1.0}, "between 0 and 1, not 1.0"),
        (tiny_source(), {"fraction": 0.1}, "1 of 10 identities to train on, 9 for search_eval of 'tiny'"),
        (tiny_source(), {"seed": -1}, "must not be negative"),
        (tiny_source(), {"queries": "one per camera"}, "Did you mean 'one_per_camera'"),
        (tiny_source(), {"train_limit": 1}, "1 identities are too few for the split 'train'"),
        (tiny_source(with_test=False), {}, "'tiny' has no test set"),
        (tiny_source(cameras=False), {"queries": "one_per_camera"}, "needs images with cameras; use 'all'"),
        (tiny_source(2), {}, "no query has a gallery image of the same identity from another camera"),
        (tiny_source(1), {"queries": "one_per_camera"}, "one image per camera, which leaves no gallery; use queries = 'all'"),
    ],
)
def test_splits_that_cannot_be(source, settings, message):
    with pytest.raises(UserError, match=message) as error:
        split_identities(source, **settings)
    assert "\n" not in str(error.value)
