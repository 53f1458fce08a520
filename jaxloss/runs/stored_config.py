"""The config that a run was begun with: what of it may change, and what has changed.

The archive has it beside the rows, so that they cannot be taken for those of another config; `config.json` is there for people.
"""

import datetime
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.runs import atomic, json_text
from jaxloss.runs.archive import CONFIG, Archive
from jaxloss.runs.files import CONFIG_FILE, read_json


def changes(path: Path, stored: dict[str, Any], given: dict[str, Any], may_change: Collection[str]) -> list[dict[str, Any]]:
    """The keys in which a config differs from the one that a run was begun with, as entries of its history.

    Args:
      path: of the run.
      stored: dotted key -> value, of the run.
      given: the same, as it is asked for.
      may_change: dotted keys that may differ, each with all below it.

    Raises:
      UserError: another key differs; the first one is named.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    found = []
    # The keys of the run as a whole first, its mode before all: others follow from them.
    for key in sorted(stored.keys() | given.keys(), key=lambda key: (key.count(".") > 0, key != "mode", key)):
        was, wanted = (_shown(values, key) for values in (stored, given))
        if was == wanted or any(other.startswith(f"{key}.") for other in (stored | given)):
            continue  # an empty dictionary beside a filled one, whose keys are what differs
        if not any(key == allowed or key.startswith(f"{allowed}.") for allowed in may_change):
            back = f"put back {key} = {was}" if key in stored else f"leave {key} out"
            raise UserError(
                f"this run was begun with {key} = {_short(was)}, not {_short(wanted)}, and it cannot change: "
                f"use another --workdir than '{path}', or {_short(back, 120)}"
            )
        found.append({"time": now, "key": key, "was": stored.get(key), "now": given.get(key)})
    return found


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one: dotted key -> value; lists and empty dictionaries are values."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        flat.update(flatten(value, f"{key}.") if isinstance(value, Mapping) and value else {key: value})
    return flat


def stored_config(path: Path, archive: Archive) -> dict[str, Any]:
    """What the run was begun with. Archives of earlier versions do not hold it.

    Raises:
      UserError: neither the archive nor `config.json` has it.
    """
    stored = archive.state(CONFIG)
    if stored is not None:
        return stored
    if not (path / CONFIG_FILE).is_file():
        raise UserError(
            f"'{path / CONFIG_FILE}' is missing, and the archive of an earlier version does not say what was asked for; "
            "restore it, or use another directory"
        )
    return read_json(path / CONFIG_FILE, dict)


def is_of_another(path: Path, archive: Archive, given: dict[str, Any]) -> bool:
    """Whether a run was made with another config; one that does not say its config was not.

    Raises:
      UserError: `config.json` is damaged, and the archive does not say the config.
    """
    if archive.state(CONFIG) is None and not (path / CONFIG_FILE).exists():
        return False
    return json_text.dumps(stored_config(path, archive)) != json_text.dumps(given)


def store_config(path: Path, archive: Archive, given: dict[str, Any]) -> list[str]:
    """Puts the config into the archive and the file, where it is not; returns lines about a file that was not as it should be."""
    text, before = json_text.dumps(given), archive.state(CONFIG)
    existed = (path / CONFIG_FILE).exists()
    try:
        found = json_text.dumps(read_json(path / CONFIG_FILE, dict)) if existed else None
    except UserError:
        found = None
    # The file first, so that no new run is without a config that can be read; where the two differ, the archive is right.
    if found != text:
        atomic.write_json(path / CONFIG_FILE, given)
    if before is None or json_text.dumps(before) != text:
        archive.commit(state={CONFIG: given})
    if before is None or found is not None:
        return []
    return [f"{CONFIG_FILE} {'was damaged' if existed else 'was missing'}: it is made again from the archive"]


def _shown(values: dict[str, Any], key: str) -> str:
    """A value as JSON text, in which NaN equals itself and 1 differs from true."""
    return json_text.dumps(values[key]) if key in values else "(not set)"


def _short(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 4] + " ..."
