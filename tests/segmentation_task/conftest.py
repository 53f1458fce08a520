"""The archive of images with masks that the tests share, and the task on it."""

import pytest

from tests.segmentation_task.scenes import make, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="session")
def task(folder):
    return make(folder)
