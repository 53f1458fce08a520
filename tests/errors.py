"""The one line that a user is told of a mistake."""

import contextlib

import pytest

from jaxloss.core.errors import UserError


def one_line(error):
    return "\n" not in str(error.value)


@contextlib.contextmanager
def user_error(*parts):
    """Expects a UserError in one line that holds every part; gives what pytest has of it."""
    with pytest.raises(UserError) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"
