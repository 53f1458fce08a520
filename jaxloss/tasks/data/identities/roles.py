"""Who is a query and who is in the gallery, where a data set does not say so itself."""

import dataclasses

import numpy as np

from jaxloss.core.errors import UserError, unknown
from jaxloss.tasks.data.identities.source import JUNK, IdentifiedImages

# all: every image is a query against all others. one_per_camera: one image of each identity and camera is a query and the
# others are the gallery, as Market-1501 does.
QUERY_RULES = ("all", "one_per_camera")


def with_roles(images: IdentifiedImages, queries: str, seed: int, origin: str) -> IdentifiedImages:
    """Makes queries and a gallery of images; roles that are there already are kept.

    With `all` an image is in the gallery too, where the rule 'same identity and same viewpoint does not count' takes it from its
    own query. Junk is in the gallery only.

    Args:
      images: of the split.
      queries: name in `QUERY_RULES`.
      seed: of the choice of the images of `one_per_camera`; not used otherwise.
      origin: name of the split, for the error line.

    Raises:
      UserError: for an unknown rule, for `one_per_camera` without cameras or with a gallery that would be empty, and where no
        query has a match.
    """
    if queries not in QUERY_RULES:
        raise unknown("queries", queries, QUERY_RULES)
    if not images.has_roles:
        known = images.identities != JUNK
        if queries == "all":
            is_query, is_gallery = known, np.ones(len(images), bool)
        else:
            if images.cameras is None:
                raise UserError(f"{origin}: queries = 'one_per_camera' needs images with cameras; use 'all'")
            order = np.random.default_rng(seed).permutation(len(images))
            pairs = np.stack([images.identities[order], images.cameras[order]], axis=1)
            is_query = np.zeros(len(images), bool)
            is_query[order[np.unique(pairs, axis=0, return_index=True)[1]]] = True
            is_query &= known
            is_gallery = ~is_query
            if not is_gallery.any():
                raise UserError(f"{origin}: each identity has one image per camera, which leaves no gallery; use queries = 'all'")
        images = dataclasses.replace(images, is_query=is_query, is_gallery=is_gallery)
    if not has_match(images).any():
        raise UserError(
            f"{origin}: no query has a gallery image of the same identity"
            + ("" if images.cameras is None else " from another camera")
        )
    return images


def has_match(images: IdentifiedImages) -> np.ndarray:
    """bool `[Q]`: whether the gallery holds an image of the query's identity from another viewpoint, for each query in order.

    An evaluation skips queries that have none.
    """
    _, identities = np.unique(images.identities, return_inverse=True)
    pairs = np.stack([identities, images.viewpoints], axis=1)
    _, views = np.unique(pairs, axis=0, return_inverse=True)
    in_gallery = np.bincount(identities, images.is_gallery)
    in_view = np.bincount(views, images.is_gallery)
    return (in_gallery[identities] > in_view[views])[images.is_query]
