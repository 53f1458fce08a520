"""AM-LFS: the loss is learned while the network trains, from the rewards of many copies of it.

C. Li et al.: AM-LFS: AutoML for Loss Function Search, ICCV 2019.
"""

from jaxloss.core.later import later
from jaxloss.systems.am_lfs.preset import PRESET
from jaxloss.systems.am_lfs.settings import AMLFSSettings
from jaxloss.systems.base import System

AM_LFS_SYSTEM = System("am_lfs", AMLFSSettings, later("jaxloss.systems.am_lfs.space:am_lfs"), preset=PRESET)
