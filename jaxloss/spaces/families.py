"""All families of hand-crafted losses by name, and what a config may name: one for every branch of a space."""

import dataclasses
from collections.abc import Mapping

from jaxloss.core.errors import unknown
from jaxloss.core.form import split_parts
from jaxloss.spaces.branched import BranchedFamily
from jaxloss.spaces.handcrafted import CLASSIFICATION_FAMILIES, HandcraftedFamily
from jaxloss.spaces.handcrafted_detection import DETECTION_FAMILIES
from jaxloss.spaces.handcrafted_harmonised import HARMONISED_FAMILIES
from jaxloss.spaces.handcrafted_heatmap import HEATMAP_FAMILIES
from jaxloss.spaces.handcrafted_imbalance import IMBALANCE_FAMILIES
from jaxloss.spaces.handcrafted_margin import MARGIN_FAMILIES
from jaxloss.spaces.handcrafted_mask import MASK_FAMILIES
from jaxloss.spaces.handcrafted_overlap import OVERLAP_FAMILIES
from jaxloss.spaces.handcrafted_regression import REGRESSION_FAMILIES
from jaxloss.spaces.handcrafted_robust import ROBUST_FAMILIES
from jaxloss.spaces.handcrafted_structure import STRUCTURE_FAMILIES

FAMILIES: Mapping[str, HandcraftedFamily] = {
    **CLASSIFICATION_FAMILIES,
    **ROBUST_FAMILIES,
    **IMBALANCE_FAMILIES,
    **OVERLAP_FAMILIES,
    **STRUCTURE_FAMILIES,
    **MARGIN_FAMILIES,
    **DETECTION_FAMILIES,
    **HARMONISED_FAMILIES,
    **HEATMAP_FAMILIES,
    **MASK_FAMILIES,
    **REGRESSION_FAMILIES,
}


def family(name: str) -> HandcraftedFamily:
    """Looks a family up by name.

    Raises:
      UserError: for an unknown name; lists the known ones.
    """
    if name not in FAMILIES:
        raise unknown("hand-crafted loss", name, FAMILIES)
    return FAMILIES[name]


def names_family(text: str, num_branches: int) -> bool:
    """Whether a text is the name of a family, or has one in it for one of several branches."""
    return any(part in FAMILIES for part in (text, *_parts(text, num_branches)))


def single_words(text: str, num_branches: int) -> list[str]:
    """The words of a text that is a word, or one for each branch: names, perhaps mistyped. Nothing for one with formulas."""
    parts = _parts(text, num_branches)
    return parts if all(part.replace("_", "").isalnum() for part in parts) else []


def branch_families(text: str, weights: Mapping[str, float]) -> HandcraftedFamily | BranchedFamily:
    """The hand-crafted loss that a text names.

    Args:
      text: a name, for every branch, or `branch: name | branch: name`, where there are several.
      weights: branch -> its factor in the sum, in the order of the space; that of a single one does not count.

    Raises:
      UserError: for an unknown name, and for other branches.
    """
    names = dict.fromkeys(weights, text)
    if "|" in text and len(weights) > 1:
        names = split_parts(text, dict.fromkeys(weights, "LOSS"), "a hand-crafted loss of several branches")
    families = {branch: dataclasses.replace(family(names[branch]), branch=branch) for branch in weights}
    if len(families) == 1:
        return next(iter(families.values()))
    same = len(set(names.values())) == 1
    name = names[next(iter(weights))] if same else " | ".join(f"{branch}: {one.name}" for branch, one in families.items())
    return BranchedFamily(name, families, weights)


def _parts(text: str, num_branches: int) -> list[str]:
    """What stands behind the names of several branches."""
    return [part.partition(":")[2].strip() for part in text.split("|")] if "|" in text and num_branches > 1 else [text]
