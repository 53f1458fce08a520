"""The archive of images with boxes, and the task of two stages on it."""

import pytest

from tests.detection_task.cells import write
from tests.two_stage_task.scenes import make


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session")
def task(folder):
    return make(folder)
