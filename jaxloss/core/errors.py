"""Errors that a user can mend, reported in one line with exit code 2."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in the user's input: a key, a file, a formula or a value.

    The message is one line that names what is wrong and what would be right.
    `jaxloss.launch` prints it without a traceback and exits with code 2.
    """


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?` for the nearest choice, in capitals or not, or an empty string."""
    texts = {str(choice).lower(): str(choice) for choice in choices}
    near = difflib.get_close_matches(str(name).lower(), texts, n=1, cutoff=0.5)
    return f" Did you mean '{texts[near[0]]}'?" if near else ""


def unknown(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """An error for a name that is in no registry: lists the choices, nearest first named."""
    listed = sorted(str(choice) for choice in choices)
    return UserError(f"unknown {kind} '{name}'.{did_you_mean(name, listed)} Choices: {', '.join(listed)}")
