"""The archive that a comparison keeps its trainings in."""

import pytest

from jaxloss.runs import Archive


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive.sqlite") as archive:
        yield archive
