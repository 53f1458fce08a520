"""Tests stand on public contracts: none looks at a private name of the package, so that none bars a change inside of it."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# The one place that looks behind a public face, to count what is compiled.
COMPILATIONS = TESTS / "compilations.py"
FILES = [path for path in sorted(TESTS.rglob("*.py")) if path != COMPILATIONS]


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_names(text):
    """Private names that are read from, set on or imported from something else than the class that is written there."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node.value) not in ("self", "cls"):
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names if is_private(alias.name))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_looks_at_a_private_name(path):
    assert list(private_names(path.read_text())) == []


def test_private_names_are_found():
    text = "from a import _b, c\nself._d = c.e._f\ncls._g()\nc._h = 1\nc.__class__\n"
    assert sorted(private_names(text)) == ["a._b", "c._h", "c.e._f"]
