"""The systems by name. A new one is a folder and a line here."""

from collections.abc import Mapping

from jaxloss.systems.am_lfs.system import AM_LFS_SYSTEM
from jaxloss.systems.autoloss_gms.system import AUTOLOSS_GMS_SYSTEM
from jaxloss.systems.autoloss_zero.system import AUTOLOSS_ZERO_SYSTEM
from jaxloss.systems.base import System
from jaxloss.systems.cse_autoloss.system import CSE_AUTOLOSS_SYSTEM

SYSTEMS: Mapping[str, System] = {
    system.name: system for system in (AUTOLOSS_ZERO_SYSTEM, AUTOLOSS_GMS_SYSTEM, AM_LFS_SYSTEM, CSE_AUTOLOSS_SYSTEM)
}
# Where a config says nothing.
DEFAULT = AUTOLOSS_ZERO_SYSTEM.name

PUBLISHED: Mapping[str, str] = {name: formula for system in SYSTEMS.values() for name, formula in system.published.items()}
