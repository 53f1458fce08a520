"""What losses are called in tables."""

import re

from jaxloss.spaces.families import FAMILIES

# Behind the name of a loss of a search that began with it.
A_SEED = " (a seed)"


def loss_name(name: str) -> str:
    """Names of hand-crafted losses as people write them, a note in brackets or behind a comma kept; anything else as it is.

    One for each branch: `a: GCE | b: MAE`.
    """
    if " | " in name and all(": " in part for part in name.split(" | ")):
        return " | ".join(
            f"{branch}: {loss_name(own)}" for branch, _, own in (part.partition(": ") for part in name.split(" | "))
        )
    own, note = re.fullmatch(r"(.*?)((?: \(|, ).*)?", name, re.DOTALL).groups(default="")
    title = FAMILIES[own].title if own in FAMILIES else ""
    own = title or (own.replace("_", " ") if re.fullmatch(r"\w+( \d+)?", own) else own)
    return own + note
