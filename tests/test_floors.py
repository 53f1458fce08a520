"""The floors of the house: a room imports only from floors below, and nothing heavy comes along unasked."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxloss"

# Floor by room. Rooms of one floor do not know each other.
FLOORS = {
    "core": 0,
    "graphs": 1,
    "spaces": 2,
    "symbolic": 2,
    "tasks": 2,
    "runs": 2,
    "filters": 3,
    "execution": 3,
    "search": 4,
    "systems": 5,
    "study": 6,
    "report": 6,
    "config": 7,
    "cli": 8,
    "export": 9,
    "api": 9,
    "launch": 10,
    "sweeps": 10,
    "sweep": 11,
    "command": 12,
}
# Which libraries a room may use; other rooms have their own.
THIRD_PARTIES = {
    "core": {"chex", "jax", "numpy"},
    "graphs": {"jax", "numpy"},
    "spaces": {"jax", "numpy"},
    "filters": {"jax", "numpy", "optax"},
    "search": {"numpy"},
    "execution": {"jax", "numpy", "ray"},
    "systems": {"jax", "numpy", "flax", "optax", "scipy"},
}
# Loaded only inside the function that needs them.
NEVER_AT_IMPORT = {"grain", "pandas", "ray", "torch", "tensorflow", "tensorflow_datasets"}


def modules():
    """Path below the package, in parts -> file; a `__main__` is a command, as launch and export are, whatever room it is in."""
    return {path.relative_to(PACKAGE).with_suffix("").parts: path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path, whole=True):
    """Names that a file imports; without `whole` only those at import time, not those inside functions or for types alone."""

    def visit(node):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        late |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if whole or not late:
            for child in ast.iter_child_nodes(node):
                yield from visit(child)

    return set(visit(ast.parse(path.read_text())))


def room_of(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "jaxloss" and len(parts) > 1 and parts[1] in FLOORS else None


def test_every_room_has_a_floor():
    assert {parts[0] for parts in modules()} - {"__init__"} == set(FLOORS)


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_only_from_floors_below(room):
    for parts, path in modules().items():
        if parts[0] != room or parts[-1] == "__main__":
            continue
        for name in imports(path):
            other = room_of(name)
            if other is None or other == room:
                continue
            assert FLOORS[other] < FLOORS[room], f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("room", THIRD_PARTIES)
def test_a_room_uses_only_its_libraries(room):
    for parts, path in modules().items():
        if parts[0] == room:
            tops = {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"jaxloss"}
            assert tops <= THIRD_PARTIES[room], f"{path.relative_to(PACKAGE)}: {tops - THIRD_PARTIES[room]}"


def test_nothing_heavy_comes_along_at_import():
    for path in modules().values():
        tops = {name.partition(".")[0] for name in imports(path, whole=False)}
        assert not tops & NEVER_AT_IMPORT, path.relative_to(PACKAGE)
