"""The archive of shapes, and the task of instance segmentation on it."""

import pytest

from tests.instance_task.shapes import make, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="session")
def task(folder):
    return make(folder)
