"""Images of identities that hold their own number, so that each can be followed."""

import numpy as np

from jaxloss.tasks.data.identities.source import identified_images, make_identity_source


def tiny_source(images_per_identity=4, num_identities=10, cameras=True, with_test=True):
    """Every image holds its own number; cameras take turns."""

    def part(first, count):
        numbers = np.arange(first, first + count)
        images = np.broadcast_to(numbers[:, None, None, None], (count, 2, 2, 1)).astype(np.uint8)
        views = numbers % images_per_identity // 2 if cameras else None
        return identified_images(images, 5 + 3 * (numbers // images_per_identity), views, "tiny")

    count = images_per_identity * num_identities
    return make_identity_source("tiny", part(0, count), part(200, 3 * images_per_identity) if with_test else None, "tiny")


def numbers_of(part):
    return part.images[:, 0, 0, 0].tolist()
