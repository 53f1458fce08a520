"""The numbers of AM-LFS where they differ from the defaults (Sections 4.1 and 4.3); B = 32 is the default of `lockstep`."""

from typing import Any

PRESET: dict[str, Any] = {
    "mode": "lockstep",
    "space.name": "am_lfs",
}
