"""The check of a built site finds each fault that it is for, and nothing in a site without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_pages.check import problems

GOOD = {
    "index.html": '<h1 id="top">A</h1><a href="sub/b.html#part">b</a><a href="https://x.y/z">out</a>'
    '<a href="#top">up</a><img src="p.png" alt="p"><link rel="stylesheet" href="s.css"><a href=".">home</a>'
    '<a href="mailto:a@b.c">write</a>',
    "sub/b.html": '<p id="part"><a href="../index.html">a</a><img src="data:image/png;base64,AA" alt="dot"></p>',
    "s.css": "body { background: url(p.png) url('data:image/svg+xml,a') }",
    "p.png": "",
}


def built(folder: Path, changed: dict[str, str]) -> list[str]:
    for name, text in {**GOOD, **changed}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return problems(folder)


def test_a_good_site_has_no_faults(tmp_path: Path) -> None:
    assert built(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "c.html",
            '<script src="https://cdn.x/a.js"></script>',
            "nothing may be fetched from elsewhere, got https://cdn.x/a.js",
        ),
        ("c.html", '<link rel="preconnect" href="//fonts.x">', "nothing may be fetched from elsewhere, got //fonts.x"),
        (
            "c.html",
            '<img src="http://x.y/p.png" alt="p">',
            "nothing may be fetched from elsewhere, got http://x.y/p.png",
        ),
        ("t.css", "@import 'https://x.y/f.css';", "nothing may be fetched from elsewhere, got https://x.y/f.css"),
        ("t.css", "a { background: url(//x.y/p.png) }", "nothing may be fetched from elsewhere, got //x.y/p.png"),
        ("c.html", '<a href="gone.html">a</a>', "the link gone.html leads to no file"),
        ("c.html", '<img src="gone.png" alt="p">', "the link gone.png leads to no file"),
        ("c.html", '<a href="sub/b.html#gone">a</a>', "the link sub/b.html#gone leads to no anchor of its page"),
        ("c.html", '<img src="p.png">', "pictures need a text, p.png has none"),
    ],
)
def test_each_fault_is_found(tmp_path: Path, name: str, text: str, said: str) -> None:
    assert built(tmp_path, {name: text}) == [f"{name}: {said}"]
