"""All families of hand-crafted losses by name."""

from collections.abc import Mapping

from jaxloss.core.errors import unknown
from jaxloss.spaces.handcrafted import CLASSIFICATION_FAMILIES, HandcraftedFamily
from jaxloss.spaces.handcrafted_margin import MARGIN_FAMILIES

FAMILIES: Mapping[str, HandcraftedFamily] = {**CLASSIFICATION_FAMILIES, **MARGIN_FAMILIES}


def family(name: str) -> HandcraftedFamily:
    """Looks a family up by name.

    Raises:
      UserError: for an unknown name; lists the known ones.
    """
    if name not in FAMILIES:
        raise unknown("hand-crafted loss", name, FAMILIES)
    return FAMILIES[name]
