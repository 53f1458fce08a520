"""What is said of a key that there is not: what it is called now, or what is like it."""

import difflib
import re
from collections.abc import Iterable

from jaxloss.config.schema import gone_keys, keys, moved_keys, sections
from jaxloss.core.errors import did_you_mean

# How ml_collections begins its complaint about a key that is not there: when it is set, and when it is read.
_UNKNOWN_KEY = re.compile(r"""(?:Key "(?P<set>[^"]+)" does not exist|'(?P<read>[^']+)'(?:\n|$))""")
# Ends every complaint about a key.
WHERE = "python -m jaxloss.launch --help=all lists all keys"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Names the key, and the nearest of those that could have stood there."""
    known = sorted(known)
    same = [f"'{one}'" for one in known if one.lower() == key.lower()]
    alike = same or [f"'{one}'" for one in known if one.lower().endswith(f".{key.lower()}")]
    meant = f" Did you mean {' or '.join(alike)}?" if alike else _moved(key) or did_you_mean(key, known)
    return f"unknown config key '{key}'.{meant} {WHERE}"


def not_found(error: BaseException) -> str | None:
    """What to say about a key that ml_collections does not find, with the near match; None for any other error."""
    if isinstance(error, AttributeError) and error.args and isinstance(error.args[0], KeyError):
        error = error.args[0]  # of attribute access: the complaint is inside
    message = error.args[0] if isinstance(error, KeyError) and error.args else None
    found = _UNKNOWN_KEY.match(message) if isinstance(message, str) else None
    if found is None:
        return None
    name = found["set"] or found["read"]
    # The error says nothing about the section, so that the last parts of the keys are compared.
    known = sorted(filter(None, {*sections(), *keys()}))
    near = difflib.get_close_matches(name, {key.rpartition(".")[2] for key in known}, n=1, cutoff=0.5)
    matches = " or ".join(f"'{key}'" for key in known if near and key.rpartition(".")[2] == near[0])
    return f"an unknown config key '{name}'.{_moved(name) or (f' Did you mean {matches}?' if matches else '')} {WHERE}"


def _moved(key: str) -> str:
    """What a key, all that a section had, or what ended in a name, is called now, or what takes its place."""
    for gone, why in gone_keys().items():
        if f".{gone}".endswith(f".{key}"):
            return f" It is gone: {why}."
    found = (name for former, name in moved_keys().items() if f".{key}." in f".{former}.")
    now = " or ".join(f"'{name}'" for name in found)
    return now and f" It is {now} now."
