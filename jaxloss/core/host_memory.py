"""How much of the machine's memory this process may still take."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

# Where the system does not say what is free, this part of all its memory is taken for it; where it does not say how much there
# is either, so many bytes.
ASSUMED_SHARE, ASSUMED_BYTES = 0.25, 2**30
# The files of a memory group: its bound, what it takes, and how it names the copies of files that would be given up at need.
_GROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_host_memory(root: Path = Path("/")) -> int:
    """Bytes: what the machine has free, or less where a control group (of a container or a batch job) bounds this process.

    Args:
      root: of the file system.
    """
    return max(0, min([_free_on_machine(root), *_left_in_groups(root)]))


def _free_on_machine(root: Path) -> int:
    try:
        return _fields(root / "proc/meminfo")["MemAvailable"] * 1024
    except (OSError, KeyError):
        # macOS and Windows.
        pass
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return int(ASSUMED_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return ASSUMED_BYTES


def _left_in_groups(root: Path) -> Iterator[int]:
    """What its group leaves the process, and what the groups around that leave it."""
    for folder in _group_folders(root):
        for bound, taken, spare in _GROUP_FILES:
            try:
                left = int((folder / bound).read_text()) - int((folder / taken).read_text())
                yield left + _fields(folder / "memory.stat").get(spare, 0)
            except (OSError, ValueError):
                # Files that are absent or say `max` are no bound.
                continue


def _group_folders(root: Path) -> Iterator[Path]:
    """Version 1 has a folder for the groups of memory, version 2 one for all; a process may be in both."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            # Inside a container the path can be that of the host, of which only the outermost folder is there.
            group = Path(controllers, path.lstrip("/"))
            yield from (root / "sys/fs/cgroup" / folder for folder in (group, *group.parents))


def _fields(path: Path) -> Mapping[str, int]:
    """A file with a name and a number in every line."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines}
