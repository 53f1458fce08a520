"""What a run is about: the keys that stand in no section."""

import dataclasses

from jaxloss.core.conditions import TASK, ReadBy, in_mode
from jaxloss.core.settings import Settings, are_different, setting

SEARCH, TRAIN, COMPARE, LOCKSTEP = RUN_MODES = ("search", "train", "compare", "lockstep")


@dataclasses.dataclass(frozen=True)
class RunSettings(Settings, section=""):
    """The run as a whole."""

    mode: str = setting(
        SEARCH,
        "search, then compare; train with `loss`; compare `losses`; or lockstep: learn the loss while the network trains",
        choices=RUN_MODES,
    )
    seed: int = setting(
        0,
        "Of everything that is drawn, in every mode: division of the data, label noise, order, initialisation, candidates; "
        "keys of their own say otherwise where they are set",
        low=0,
        high=2**30,
    )
    data_dir: str = setting(
        "",
        "Folder of data files; empty: the environment variable JAXLOSS_DATA_DIR, else the current folder",
        may_change=True,
        acts_when=(ReadBy(TASK),),
    )
    quiet: bool = setting(False, "Shows no progress", may_change=True)
    compilation_cache: str = setting(
        "auto",
        "Folder of compiled programs; auto: jaxloss in the user's cache folder; empty: none are kept",
        may_change=True,
    )
    loss: str = setting(
        "",
        "A formula such as 'Neg(Mul(target, Log(prediction)))', or the name of a loss",
        acts_when=(in_mode(TRAIN, is_preset=False),),
    )
    losses: tuple[str, ...] = setting(
        ("cross_entropy",),
        "Formulas and names of losses; a finished comparison goes on with further ones",
        may_change=True,
        check=are_different("formulas or names"),
        acts_when=(in_mode(COMPARE, is_preset=False),),
    )
