"""No word of a system stands outside its folder: general rooms do not know whom they serve."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxloss"
SYSTEMS = sorted(folder.name for folder in (PACKAGE / "systems").iterdir() if (folder / "__init__.py").exists())
# Where the systems are listed.
REGISTRY = PACKAGE / "systems" / "registry.py"


def spellings(system):
    """`autoloss_zero`, `AutoLoss-Zero`, `AutoLoss Zero`, `AutoLossZero`, and what stands behind the common part alone."""
    words = system.split("_")
    return re.compile(r"[-_ ]?".join(words), re.IGNORECASE)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_named_in_its_folder_only(system):
    pattern = spellings(system)
    found = []
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.is_relative_to(PACKAGE / "systems" / system)
        if path.suffix not in (".py", ".j2", ".css", ".html") or inside or path == REGISTRY:
            continue
        found += [
            f"{path.relative_to(PACKAGE)}: {line.strip()}" for line in path.read_text().splitlines() if pattern.search(line)
        ]
    assert not found


def test_systems_are_found():
    assert len(SYSTEMS) >= 3
    assert spellings("autoloss_zero").search("as in AutoLoss-Zero")
