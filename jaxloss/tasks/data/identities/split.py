"""Splits by identity: nobody in search_eval or test has been seen in training."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jaxloss.core.errors import UserError
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.data.identities.roles import with_roles
from jaxloss.tasks.data.identities.source import IdentifiedImages, IdentitySource

# The roles in the test set are the same whatever the division of the training identities.
_TEST_ROLES_SEED = 0


def with_held_out_test(source: IdentitySource, fraction: float, seed: int) -> IdentitySource:
    """Holds a part of the identities out for the test, unless the source has a test set of its own.

    Args:
      source: what to divide.
      fraction: of the identities that go to the test.
      seed: of the choice.

    Raises:
      UserError: for a fraction that is none or leaves a part too small.
    """
    if source.test is not None:
        return source
    train, test = _divide(source.train, 1 - fraction, seed, f"the test set of '{source.name}'")
    return dataclasses.replace(source, train=train, test=test)


def split_identities(
    source: IdentitySource,
    fraction: float = 0.8,
    seed: int = 0,
    queries: str = "all",
    train_limit: int | None = None,
    search_eval_limit: int | None = None,
    train_on_all: bool = False,
) -> Mapping[str, IdentifiedImages]:
    """Divides the training identities of a source into `train` and `search_eval`; `test` stays as it was published.

    How many identities a split has does not depend on the seed. Training identities are numbered anew from 0; those of the other
    splits keep their numbers.

    Args:
      source: what to divide; it has a test set.
      fraction: of the training identities that go to `train`.
      seed: of the division, and of the roles in `search_eval`.
      queries: name in `roles.QUERY_RULES`, for `search_eval`, and for a test set that was published without roles.
      train_limit: the most identities to keep in `train`, or None.
      search_eval_limit: the most identities to keep in `search_eval`, or None.
      train_on_all: all training identities go to `train`, for the final training of a finished loss. There is no `search_eval`
        then: a score on it would be one on the training set.

    Raises:
      UserError: for a fraction or a limit that leaves a split too small, for a source without a test set, and see `with_roles`.

    References:
      H. Gu et al., CVPR 2022, supplement, section G.1: 80% of the training identities, and the rest as validation set.
    """
    if source.test is None:
        raise UserError(f"'{source.name}' has no test set; hold one out of its identities")
    splits = {}
    if train_on_all:
        train = source.train
    else:
        train, rest = _divide(source.train, fraction, seed, f"search_eval of '{source.name}'")
        rest = _first_identities(rest, search_eval_limit, seed, SEARCH_EVAL)
        splits[SEARCH_EVAL] = with_roles(rest, queries, seed, f"search_eval of '{source.name}'")
    train = _first_identities(train, train_limit, seed, TRAIN)
    numbers = np.unique(train.identities, return_inverse=True)[1].astype(np.int32)
    splits[TRAIN] = dataclasses.replace(train, identities=numbers)
    splits[TEST] = with_roles(source.test, queries, _TEST_ROLES_SEED, f"test of '{source.name}'")
    return splits


def _shuffled_identities(images: IdentifiedImages, seed: int) -> np.ndarray:
    if seed < 0:
        raise UserError(f"the seed of a split must not be negative, not {seed}")
    return np.random.default_rng(seed).permutation(np.unique(images.identities))


def _divide(images: IdentifiedImages, fraction: float, seed: int, rest: str) -> tuple[IdentifiedImages, IdentifiedImages]:
    """The images of a fraction of the identities, and those of the others; in the order that they had."""
    if not 0 < fraction < 1:
        raise UserError(f"the fraction of the identities must lie between 0 and 1, not {fraction}")
    identities = _shuffled_identities(images, seed)
    count = round(fraction * len(identities))
    if count < 2 or count == len(identities):
        raise UserError(
            f"{count} of {len(identities)} identities to train on, {len(identities) - count} for {rest}: "
            "two are the least to train on, and one for the other"
        )
    kept = np.isin(images.identities, identities[:count])
    return images.take(kept), images.take(~kept)


def _first_identities(images: IdentifiedImages, limit: int | None, seed: int, split: str) -> IdentifiedImages:
    """The images of the first identities of a random order."""
    if limit is None or limit >= images.num_identities:
        return images
    least = 2 if split == TRAIN else 1
    if limit < least:
        raise UserError(f"{limit} identities are too few for the split '{split}'; {least} is the least")
    return images.take(np.isin(images.identities, _shuffled_identities(images, seed)[:limit]))
