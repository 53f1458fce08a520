"""The floors of the house: a room imports only from floors below, and nothing heavy comes along unasked."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxloss"

# Floor by room. Rooms of one floor do not know each other; the files from floor 3 on may, without circles.
FLOORS = {
    "core": 0,
    "spaces": 1,
    "symbolic": 1,
    "filters": 1,
    "tasks": 1,
    "runs": 1,
    "search": 2,
    "execution": 2,
    "predictors": 2,
    "progress": 2,
    "interrupts": 2,
    "search_budget": 3,
    "search_loop": 3,
    "choosing": 3,
    "statistics": 3,
    "contender": 3,
    "comparison": 3,
    "compilation_cache": 3,
    "config": 3,
    "config_file": 3,
    "config_check": 3,
    "wiring": 3,
    "plan": 3,
    "experiment": 3,
    "modes": 3,
    "exporting": 3,
    "export": 4,
    "launch": 4,
    "report": 4,
}
# Which libraries a room may use; other rooms have their own.
THIRD_PARTIES = {
    "core": {"jax", "chex", "numpy"},
    "spaces": {"jax", "numpy"},
    "filters": {"jax", "numpy", "optax"},
    "search": {"numpy"},
    "execution": {"jax"},
    "predictors": {"jax", "numpy", "flax", "optax", "scipy"},
}
# Loaded only inside the function that needs them.
NEVER_AT_IMPORT = {"torch", "tensorflow", "tensorflow_datasets"}


def modules():
    return {path.relative_to(PACKAGE).with_suffix("").parts: path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path, whole=True):
    """Names that a file imports; without `whole` only those at import time, not those inside functions."""

    def visit(node):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if whole or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
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
        if parts[0] != room:
            continue
        for name in imports(path):
            other = room_of(name)
            if other is None or other == room:
                continue
            same_floor = FLOORS[other] == FLOORS[room]
            if same_floor and FLOORS[room] >= 3:
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


def test_files_on_the_top_floor_have_no_circles():
    """Of the files above the rooms each is imported only by those that come after it."""
    files = {parts[0]: path for parts, path in modules().items() if len(parts) == 1 and parts[0] != "__init__"}
    needs = {name: {room_of(found) for found in imports(path)} & set(files) - {name} for name, path in files.items()}
    order = []
    while len(order) < len(files):
        ready = sorted(name for name in set(files) - set(order) if needs[name] <= set(order))
        assert ready, f"a circle among {sorted(set(files) - set(order))}"
        order += ready
