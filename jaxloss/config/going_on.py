"""A run that goes on, by a later version too: what its config leaves open stays what the run was begun with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections

from jaxloss.config.drawn import drawn_config
from jaxloss.config.schema import read, section_of, sections, upgraded
from jaxloss.core.errors import UserError
from jaxloss.core.settings import declarations, defaults
from jaxloss.runs import json_text
from jaxloss.runs.directory import open_for_reading
from jaxloss.runs.files import ARCHIVE_FILE
from jaxloss.runs.stored_config import flatten


def values_of_the_run(config: ml_collections.ConfigDict, workdir: str | Path) -> dict[str, Any]:
    """What the run of a directory was begun with: dotted key of today -> value, as an archive holds it, lists for tuples.

    Args:
      config: that it is to go on with.
      workdir: of the run; it need not be there.

    Returns:
      Nothing where the directory has no run that has begun with the seed of the config: what is wrong with it is for
      `RunDirectory.open` to say.
    """
    if not (Path(workdir) / ARCHIVE_FILE).is_file():
        return {}
    try:
        with open_for_reading(workdir) as run:
            stored = upgraded(flatten(run.config)) if run.archive.has_begun() else {}
    except UserError:
        return {}
    return stored if stored.get("seed") == config.seed else {}


def with_values_of_the_run(config: ml_collections.ConfigDict, of_run: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """A copy of the config, in which a key that is left open (see `Settings.drawn`) has the value that a run has.

    An earlier version may have made another value of the same seed and the same section. A section in which anything else
    differs stays as it is: whether it may is for `RunDirectory.open` to say.

    Args:
      config: of the run.
      of_run: see `values_of_the_run`.
    """
    now = flatten(json_text.loads(json_text.dumps(drawn_config(config).to_dict())))
    like = config.copy_and_resolve_references()
    for section in sections().values() if of_run else ():
        settings = section.settings
        given, unset, names = read(config, settings), defaults(settings), declarations(settings)
        left = [name for name, one in names.items() if one.drawn and getattr(given, name) == unset[name]]
        differ = [name for name in names if of_run.get(settings.key(name)) != now.get(settings.key(name))]
        if not set(differ) <= set(left):
            continue
        for name in differ:
            value = of_run[settings.key(name)]
            section_of(like, section.name)[name] = tuple(value) if isinstance(unset[name], tuple) else value
    return like
