"""The archive of images with keypoints that the tests share, and the task on it."""

import pytest

from tests.pose_task.puppets import make, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("puppets"))


@pytest.fixture(scope="session")
def task(folder):
    return make(folder)
