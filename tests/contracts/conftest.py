"""The spaces that have promises to keep."""

import pytest

from tests.contracts.all_spaces import SPACES


@pytest.fixture(scope="module", params=SPACES)
def space(request):
    return SPACES[request.param]()
