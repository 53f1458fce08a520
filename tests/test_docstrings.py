"""Every docstring of the package begins with a sentence that says what the thing is."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxloss"
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.read_text().strip()]
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
HEADINGS = ("Attributes:", "Args:", "Returns:", "Raises:", "Yields:")


def definitions(node, prefix=""):
    """(name, node) of public classes, functions and methods; what stands inside a function is nobody's to call."""
    for child in node.body:
        if isinstance(child, DEFINITIONS) and not child.name.startswith("_"):
            yield f"{prefix}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from definitions(child, f"{prefix}{child.name}.")


def problems(path):
    """What is wrong with the docstrings of a file. Only a method may leave it to its protocol: `See ...`."""
    tree = ast.parse(path.read_text())
    for name, node in [("the module", tree), *definitions(tree)]:
        text = ast.get_docstring(node)
        if not text:
            yield f"{name} has no docstring"
            continue
        first = text.split("\n\n")[0]
        if first.startswith(HEADINGS):
            yield f"{name} begins with {first.split(':')[0]}"
        elif first.startswith("See ") and "." not in name:
            yield f"{name} does not say what it is"
        elif not first.rstrip().endswith((".", "?", ":")):
            yield f"{name} begins with no sentence: {first!r}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_docstring_begins_with_what_the_thing_is(path):
    assert list(problems(path)) == []


def test_what_is_wrong_is_found(tmp_path):
    path = tmp_path / "some.py"
    path.write_text(
        '''"""Args: of the module."""
class Bare:
    """See `Other`."""
    def method(self):
        """See `Other.method`."""
    def other(self):
        """no sentence"""
def f(): ...
def _private(): ...
'''
    )
    assert list(problems(path)) == [
        "the module begins with Args",
        "Bare does not say what it is",
        "Bare.other begins with no sentence: 'no sentence'",
        "f has no docstring",
    ]
