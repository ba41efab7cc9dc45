"""Documents of the repository as pages of the site, and their links where the site has them.

A link to a document becomes one to its page, a link to any other file one to a copy of the file in the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Documents outside docs/ and the pages that show them.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples": "examples.md",
}
# From this heading on the README is the page of the guide.
GUIDE = "## Three things to do"
# Folder of the site with copies of files that are linked to.
COPIES = "files"
_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)")


def page_of(path: str) -> str:
    """Place in the site of a path of the repository."""
    if path in PAGES:
        return PAGES[path]
    inside = path.startswith("docs/") and (ROOT / path).exists()
    return path.removeprefix("docs/") if inside else f"{COPIES}/{path}"


def moved(text: str, source: str, page: str) -> tuple[str, set[str]]:
    """Text of a document of the repository as a page of the site.

    Args:
        text: Markdown, with links relative to the document.
        source: the document, a path of the repository.
        page: its place in the site.
    Returns:
        The text with links relative to the page, and the paths of the repository of which the site needs copies.
    Raises:
        ValueError: when a link leads to no file.
    """
    copies = set()

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[2]))
        if path not in PAGES and not (ROOT / path).is_file():
            raise ValueError(f"{source}: links must lead to files of the repository, got {found[2]}")
        place = page_of(path)
        if place.startswith(f"{COPIES}/"):
            copies.add(path)
        return found[1] + posixpath.relpath(place, posixpath.dirname(page) or ".")

    text = _LINK.sub(link, text)
    # What stands between the tags is Markdown, as it is where the repository is read.
    return re.sub(r"<details>\s*(<summary>.*?</summary>)", r'<details markdown="1">\n\1\n', text), copies


def documents() -> dict[str, tuple[str, str]]:
    """Page of the site -> (the document outside docs/ that it shows, its text)."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    home, heading, guide = readme.partition(f"\n{GUIDE}\n")
    if not heading:
        raise ValueError(f"README.md: the guide begins at the heading {GUIDE!r}, which is not there")
    found = {"index.md": ("README.md", home), "guide.md": ("README.md", f"# Guide\n\n{GUIDE}\n{guide}")}
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        found[PAGES[name]] = (name, (ROOT / name).read_text(encoding="utf-8"))
    return found


def examples() -> tuple[str, list[str]]:
    """The page of the examples, scripts in cells (jupytext's percent format), and their paths."""
    paths = sorted((ROOT / "examples").glob("*.py"))
    parts = ["# Examples\n\nEach is a script and, in jupytext's percent format, a notebook."]
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        parts += [_cell(cell) for cell in re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]]
        parts.append(f"[{name}]({COPIES}/{name})")
    return "\n\n".join(parts) + "\n", [path.relative_to(ROOT).as_posix() for path in paths]


def _cell(text: str) -> str:
    kind, _, body = text.partition("\n")
    if kind.strip() != "[markdown]":
        return f"```python\n{body.strip()}\n```"
    words = re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE)
    # The page has the title of the first level.
    return re.sub(r"^#", "##", words, flags=re.MULTILINE)
