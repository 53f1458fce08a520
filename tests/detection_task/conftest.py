"""The archive of images with boxes that the tests share, and the task on it."""

import pytest

from tests.detection_task.cells import make, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session")
def task(folder):
    return make(folder)
