"""A check of built pages: links and anchors lead somewhere, pictures have a text, nothing is fetched from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes that a browser loads by itself; a link (`a`) waits for the reader.
_LOADED = {
    ("script", "src"), ("img", "src"), ("img", "srcset"), ("link", "href"), ("iframe", "src"), ("source", "src"),
    ("video", "src"), ("audio", "src"), ("object", "data"), ("embed", "src"),
}  # fmt: skip
_LOADED_BY_STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^)'\"]+)")


class _Page(HTMLParser):
    """Links of a page, what it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.untold: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.loaded += [given[name] for name in given if (tag, name) in _LOADED and given.get("rel") != "canonical"]
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "img" and not given.get("alt"):
            self.untold.append(given.get("src", ""))


def problems(folder: Path) -> list[str]:
    """Faults of a built site, one a line; empty where there are none.

    Args:
        folder: of the site.
    """
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        here = path.relative_to(folder).as_posix()
        found += [
            f"{here}: nothing may be fetched from elsewhere, got {each}" for each in page.loaded if _outside(each)
        ]
        found += [f"{here}: pictures need a text, {each} has none" for each in page.untold]
        for target in dict.fromkeys([*page.links, *page.loaded]):
            if not _outside(target) and (said := _lost(path, target, folder, pages)):
                found.append(f"{here}: {said}")
    for path in sorted(folder.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        here = path.relative_to(folder).as_posix()
        found += [
            f"{here}: nothing may be fetched from elsewhere, got {each}" for each in _LOADED_BY_STYLE.findall(text)
        ]
    return found


def _outside(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "mailto")


def _lost(path: Path, target: str, folder: Path, pages: dict[Path, _Page]) -> str | None:
    """Reason why a link of a page leads nowhere; None where it leads somewhere."""
    parts = urlsplit(target)
    if parts.scheme == "data":
        return None
    there = path
    if parts.path:
        base = folder if parts.path.startswith("/") else path.parent
        there = Path(base, unquote(parts.path).lstrip("/")).resolve()
        there = there / "index.html" if there.is_dir() else there
    if not there.is_file():
        return f"the link {target} leads to no file"
    anchor = unquote(parts.fragment)
    if anchor and there in pages and anchor not in pages[there].anchors:
        return f"the link {target} leads to no anchor of its page"
    return None
