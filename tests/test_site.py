"""The site of the pages for users: it is built, and every link leads somewhere; links of the other pages, too."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "experiments").rglob("*.md")])
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
OUTSIDE = ("http://", "https://", "mailto:", "data:", "javascript:")


class Page(HTMLParser):
    """What a page of HTML links to, and what can be linked to in it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.links += [found[name] for name in ("href", "src") if found.get(name)]
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}


def heading_anchor(heading):
    """As the usual hosts of repositories make it of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def lost_links(pages, links_of, anchors_of):
    """The links within a set of pages that lead to no file, or to no place in a page."""
    for page in pages:
        for link in links_of[page]:
            if link.startswith(OUTSIDE):
                continue
            where, anchor = urldefrag(unquote(link))
            target = (page.parent / where).resolve() if where else page
            target = target / "index.html" if target.is_dir() and target / "index.html" in anchors_of else target
            if not target.exists() or (anchor and target in anchors_of and anchor not in anchors_of[target]):
                yield f"{page.name}: {link}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Path of each built page -> the page."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return {path.resolve(): Page(path.read_text()) for path in folder.rglob("*.html")}


def test_the_site_has_every_page_and_the_reference_its_words(site):
    folder = min(site, key=lambda path: len(path.parts)).parent
    names = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert {folder / name / "index.html" for name in names} <= set(site)
    assert "jaxloss.api.results.run" in site[folder / "reference" / "index.html"].anchors


def test_every_link_of_the_site_leads_somewhere(site):
    # The page for what is not found is served from anywhere, and its links begin at the root.
    pages = [path for path in site if path.name != "404.html"]
    assert sum(len(site[path].links) for path in pages) > 100
    links, anchors = ({path: getattr(page, name) for path, page in site.items()} for name in ("links", "anchors"))
    assert list(lost_links(pages, links, anchors)) == []


def test_links_between_the_texts_lead_somewhere():
    texts = {path: CODE.sub("", path.read_text()) for path in TEXTS}
    anchors = {
        path: {heading_anchor(heading) for heading in re.findall(r"^#+ (.*)", path.read_text(), re.MULTILINE)} for path in texts
    }
    assert list(lost_links(texts, {path: LINK.findall(text) for path, text in texts.items()}, anchors)) == []


def test_a_lost_link_is_found(tmp_path):
    here, there = tmp_path / "here.md", tmp_path / "there.md"
    there.touch()
    links = {here: ["there.md", "there.md#a", "there.md#b", "#c", "gone.md", "https://example.org/gone"]}
    assert list(lost_links([here], links, {here: set(), there: {"a"}})) == [
        "here.md: there.md#b",
        "here.md: #c",
        "here.md: gone.md",
    ]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_other_sites_are_well_formed(path):
    """Whether they answer is not asked: the tests need no network."""
    for address in re.findall(r"https?:[^\s)>\]\"']*", CODE.sub("", path.read_text())):
        parts = urlsplit(address)
        assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.hostname or ""), address
        assert parts.scheme == "https", address
