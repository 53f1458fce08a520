"""Writes how notebooks are opened in Colab, from the one place with the public address: `[project.urls]` of `pyproject.toml`.

    python tools/colab.py

With `Repository = "https://github.com/OWNER/NAME"` there, the README gets a badge for each notebook, and each notebook has its
badge below its title and installs jaxloss from that address. Without it the README says how a notebook is opened from its file.
A second call changes nothing. `make notebooks` calls it, and makes the `.ipynb` files of the texts.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
BRANCH = "main"
BEGIN, END = "<!-- Colab: written by `make notebooks` -->", "<!-- end of Colab -->"
FROM_A_FILE = (
    "In Colab: File, Upload notebook, `notebooks/NAME.ipynb`; among its files the wheel that `pip wheel --no-deps .` makes is "
    "installed."
)
# What a notebook installs where no wheel lies beside it, in the first cell of its text.
_SOURCE = re.compile(r'(?<= or \[")[^"]*(?="\])')


class BadAddressError(ValueError):
    """An address, or a file, with which nothing can be written; one line."""


def repository(pyproject: Path) -> tuple[str, str] | None:
    """Owner and name of the repository, or None where no address is given.

    Raises:
      BadAddressError: the address is none of GitHub, from where alone Colab opens notebooks by an address.
    """
    address = tomllib.loads(pyproject.read_text()).get("project", {}).get("urls", {}).get("Repository", "")
    if not address:
        return None
    if (found := ADDRESS.fullmatch(address)) is None:
        raise BadAddressError(
            f"{pyproject}: Repository = '{address}' must be https://github.com/OWNER/NAME, which Colab can open"
        )
    return found[1], found[2]


def badge(where: tuple[str, str], notebook: str) -> str:
    """The badge of a notebook, a link in Markdown."""
    owner, name = where
    return f"{BADGE}(https://colab.research.google.com/github/{owner}/{name}/blob/{BRANCH}/notebooks/{notebook}.ipynb)"


def readme_with(text: str, where: tuple[str, str] | None, titles: dict[str, str]) -> str:
    """The README with what is between its two comments written anew.

    Args:
      text: of the README.
      where: see `repository`.
      titles: notebook -> its title.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadAddressError(f"the README has no lines '{BEGIN}' and '{END}', between which badges are written")
    lines = [f"- {badge(where, name)} {title}" for name, title in titles.items()] if where else [FROM_A_FILE]
    return "\n".join([f"{before}{BEGIN}", *lines, f"{END}{after}"])


def notebook_with(text: str, where: tuple[str, str] | None, name: str) -> str:
    """The text of a notebook with its badge below its title, or none, and with where jaxloss is installed from."""
    title = re.search(r"^# # .*\n", text, re.MULTILINE)
    if title is None or _SOURCE.search(text) is None:
        raise BadAddressError(f"notebooks/{name}.py has no title '# # TITLE', or no first cell that installs jaxloss")
    rest = re.sub(rf"\A#\n# {re.escape(BADGE)}\(\S+\)\n", "", text[title.end() :])
    line = f"#\n# {badge(where, name)}\n" if where else ""
    source = f"git+https://github.com/{where[0]}/{where[1]}" if where else "jaxloss"
    return _SOURCE.sub(source, f"{text[: title.end()]}{line}{rest}", count=1)


def write_all(root: Path = ROOT) -> list[Path]:
    """Writes README and notebooks of a checkout; returns what changed.

    Raises:
      BadAddressError: names what cannot be done; then nothing is written.
    """
    where, readme = repository(root / "pyproject.toml"), root / "README.md"
    notebooks = sorted((root / "notebooks").glob("*.py"))
    texts = {path: notebook_with(path.read_text(), where, path.stem) for path in notebooks}
    titles = {path.stem: re.search(r"^# # (.*)\n", text, re.MULTILINE)[1] for path, text in texts.items()}
    texts[readme] = readme_with(readme.read_text(), where, titles)
    changed = [path for path, text in texts.items() if path.read_text() != text]
    for path in changed:
        path.write_text(texts[path])
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 0, or 2 for an address that will not do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="of the checkout, by default this one")
    try:
        for path in write_all(parser.parse_args(arguments).root):
            print(path)
    except BadAddressError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
