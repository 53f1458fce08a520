"""The config of a run with the seeds and the divisions of the data that follow from its seed."""

import ml_collections

from jaxloss.config.schema import defaults, read, section_of, sections


def drawn_config(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """A copy in which every key that is left to `seed` has the value that it has in this run; see `Settings.drawn`.

    A run stores this one: it says which numbers were drawn with, whatever later versions make of a seed.
    """
    filled = config.copy_and_resolve_references()
    for section in sections().values():
        given = read(config, section.settings)
        drawn = given.drawn(config.seed)
        for name in defaults(section.settings):
            if getattr(drawn, name) != getattr(given, name):
                section_of(filled, section.name)[name] = getattr(drawn, name)
    return filled
