"""A run that goes on, by a later version too: what its config leaves open stays what the run was begun with."""

from pathlib import Path

import ml_collections

from jaxloss.config.drawn import drawn_config
from jaxloss.config.schema import read, section_of, sections, upgraded
from jaxloss.core.errors import UserError
from jaxloss.core.settings import declarations, defaults
from jaxloss.runs import json_text
from jaxloss.runs.directory import open_for_reading
from jaxloss.runs.files import ARCHIVE_FILE
from jaxloss.runs.stored_config import flatten


def with_values_of_the_run(config: ml_collections.ConfigDict, workdir: str | Path) -> ml_collections.ConfigDict:
    """The config, in which a key that is left open (see `Settings.drawn`) has the value that the run of the directory has.

    An earlier version may have made another value of the same seed and the same section. A section in which anything else
    differs stays as it is: whether it may is for `RunDirectory.open` to say, which also names what is wrong with the directory.

    Args:
      config: of a run, with the values of its preset.
      workdir: of the run; it need not be there.

    Returns:
      A copy, or the config itself where the directory has no run that has begun with this seed.
    """
    if not (Path(workdir) / ARCHIVE_FILE).is_file():
        return config
    try:
        with open_for_reading(workdir) as run:
            stored = upgraded(flatten(run.config)) if run.archive.has_begun() else {}
    except UserError:
        return config
    if stored.get("seed") != config.seed:
        return config
    # As an archive holds it: tuples are lists there.
    now = flatten(json_text.loads(json_text.dumps(drawn_config(config).to_dict())))
    like = config.copy_and_resolve_references()
    for section in sections().values():
        settings = section.settings
        given, unset, names = read(config, settings), defaults(settings), declarations(settings)
        left = [name for name, one in names.items() if one.drawn and getattr(given, name) == unset[name]]
        differ = [name for name in names if stored.get(settings.key(name)) != now.get(settings.key(name))]
        if not set(differ) <= set(left):
            continue
        for name in differ:
            value = stored[settings.key(name)]
            section_of(like, section.name)[name] = tuple(value) if isinstance(unset[name], tuple) else value
    return like
