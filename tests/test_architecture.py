"""What ARCHITECTURE.md names exists."""

import re
from pathlib import Path

from tests.test_floors import FLOORS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "ARCHITECTURE.md").read_text()


def names():
    return re.findall(r"`([^`\s]+)`", TEXT)


def test_files_exist():
    files = [name for name in names() if name.endswith((".py", ".j2")) and "/" in name]
    assert len(files) > 30
    missing = [name for name in files if not (ROOT / name).exists() and not (ROOT / "jaxloss" / name).exists()]
    assert not missing


def test_files_of_a_room_exist():
    rooms = re.findall(r"^\| `(jaxloss/\w+)` \| (.*) \|$", TEXT, re.MULTILINE)
    assert {room.removeprefix("jaxloss/") for room, _ in rooms} | {"cli", "command", "export", "launch", "sweep"} == set(FLOORS)
    missing = [f"{room}/{name}" for room, words in rooms for name in re.findall(r"`([\w]+(?:\.py|/))`", words)
               if not (ROOT / room / name).exists()]  # fmt: skip
    assert not missing


def test_code_that_is_named_exists():
    source = "\n".join(path.read_text() for path in sorted((ROOT / "jaxloss").rglob("*.py")))
    for name in names():
        if re.fullmatch(r"[A-Z_]{4,}|[A-Z][A-Za-z]+(\.\w+)?|[a-z]+_[a-z_]+", name):
            last = name.rpartition(".")[2]
            assert re.search(rf"\b{last}\b", source), name
