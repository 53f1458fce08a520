"""Errors that a user can mend, reported in one line with exit code 2."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in the user's input: a key, a file, a formula or a value.

    The message is one line that names what is wrong and what would be right.
    `jaxloss.launch` prints it without a traceback and exits with code 2.
    """


def did_you_mean(name: str, choices: Iterable[str], most: int = 1) -> str:
    """Returns ` Did you mean 'x'?` for the nearest choices, `most` at most, in capitals or not, or an empty string."""
    texts = {str(choice).lower(): str(choice) for choice in choices}
    near = difflib.get_close_matches(str(name).lower(), texts, n=most, cutoff=0.5)
    # A word of a name, as f1 of macro_f1.
    near = near or [text for text in sorted(texts) if str(name).lower() in text.split("_")][:most]
    *others, last = [f"'{texts[one]}'" for one in near] or [""]
    return f" Did you mean {', '.join(others)}{' or ' if others else ''}{last}?" if last else ""


def unknown(kind: str, name: str, choices: Iterable[str], list_at: str = "") -> UserError:
    """An error for a name that is in no registry, the nearest choice first named.

    Args:
      kind: of what is named.
      name: that is in no registry.
      choices: all names there; they are listed, where it is not said where a list of them is.
      list_at: what shows them, such as a command, where they are too many for a line.
    """
    listed = sorted(str(choice) for choice in choices)
    if list_at:
        return UserError(f"unknown {kind} '{name}'.{did_you_mean(name, listed, most=3)} {list_at} lists all {len(listed)}")
    return UserError(f"unknown {kind} '{name}'.{did_you_mean(name, listed)} Choices: {', '.join(listed)}")
