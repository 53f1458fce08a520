"""The folder of images that the tests share, and the task on it."""

import pytest

from tests.retrieval_task.market import make, write_person


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


@pytest.fixture(scope="module")
def task(market):
    return make(market)
