"""Free memory as made-up systems state it: Linux, containers of both kinds, systems that say little."""

import os

import pytest

from jaxloss.core import devices, host_memory
from jaxloss.core.host_memory import ASSUMED_BYTES, free_host_memory

MIB = 2**20


@pytest.fixture
def system(tmp_path):
    """Writes files below a root of their own."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        return tmp_path

    write({"proc/meminfo": "MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\nHugePages_Total:  0"})
    return write


def group(folder, bound, taken, spare=0, version=2):
    names = ("memory.max", "memory.current", "") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
    stat = f"anon 5\n{names[2]}inactive_file {spare}"
    return {
        f"sys/fs/cgroup/{folder}/{name}": text
        for name, text in zip((*names[:2], "memory.stat"), (bound, taken, stat), strict=True)
    }


def test_a_machine_without_groups(system):
    assert free_host_memory(system({})) == 4096 * MIB


@pytest.mark.parametrize("groups", ["0::/", "1:cpu:/\n0::/of/the/host"])
def test_a_container_is_bound_by_its_group(system, groups):
    """Whether the path is that of the container or of the host."""
    root = system({"proc/self/cgroup": groups, **group(".", 1000 * MIB, 700 * MIB, spare=200 * MIB)})
    assert free_host_memory(root) == 500 * MIB


def test_the_narrowest_of_nested_groups_counts(system):
    files = {"proc/self/cgroup": "0::/job/step", **group("job", 900 * MIB, 100 * MIB), **group("job/step", "max", 50 * MIB)}
    assert free_host_memory(system(files)) == 800 * MIB
    assert free_host_memory(system(group("job/step", 60 * MIB, 50 * MIB))) == 10 * MIB


def test_groups_of_version_1(system):
    unlimited = 9223372036854771712
    files = {"proc/self/cgroup": "4:memory:/job\n2:cpu:/other\n0::/", **group("memory", unlimited, 7 * MIB, version=1)}
    assert free_host_memory(system(files)) == 4096 * MIB
    assert free_host_memory(system(group("memory/job", 300 * MIB, 200 * MIB, 50 * MIB, version=1))) == 150 * MIB
    assert free_host_memory(system(group("other", 0, 0, version=1))) == 150 * MIB


def test_a_group_that_is_full_leaves_nothing(system):
    assert free_host_memory(system({"proc/self/cgroup": "0::/", **group(".", 10, 20)})) == 0


def test_systems_that_do_not_say_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sysconf_names", {"SC_PHYS_PAGES": 0, "SC_PAGE_SIZE": 1})
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert free_host_memory(tmp_path) == 1000 * 4096 // 4
    monkeypatch.delattr(os, "sysconf_names")
    assert free_host_memory(tmp_path) == ASSUMED_BYTES


def test_a_device_without_statistics_is_the_machine(monkeypatch):
    monkeypatch.setattr(devices, "free_host_memory", lambda: 1000)
    assert devices.free_memory() == 1000
    assert devices.memory_budget() == 200
    monkeypatch.undo()
    assert host_memory.free_host_memory() > 0
