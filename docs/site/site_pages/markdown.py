"""Plain text and docstrings as Markdown: nothing in them is taken for markup but `code`."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence

_SPECIAL = re.compile(r"[\\*_\[\]{}<>&#|~]")
_HEADER = re.compile(r"(Args|Returns|Raises|Source|Example|Examples): ?(.*)")
_TITLES = {"Args": "Arguments", "Example": "Example", "Examples": "Example"}
# `name: text`, or several names before one text; three blanks or more part two such items on one line.
_ITEM = re.compile(r"(\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*): ")
_APART = re.compile(r" {3,}(?=[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*: )")
# Lines of a task's datasheet that begin an entry: "State (x, y), …" and "Regime at the defaults: …".
_ENTRY = re.compile(r"(State)\b:? *|([A-Z][A-Za-z]+(?: [a-z]+){0,3}):\s+")
_DOI = re.compile(r"doi:(10\.\d{4,}/\S+)")
_ARXIV = re.compile(r"(arXiv[: ])(\d{4}\.\d{4,5}(?:v\d+)?)")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is written, its spans of `code` kept."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if i % 2 else _SPECIAL.sub(_entity, part) for i, part in enumerate(parts))


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def cited(source: str) -> str:
    """A source with its DOIs and arXiv numbers as links."""
    linked = []
    for word in source.split(" "):
        if found := _DOI.fullmatch(word):
            doi = found[1].rstrip(",;.")
            # A bracket that was opened before the number is closed after it.
            if doi.count(")") > doi.count("("):
                doi = doi[: doi.rindex(")")]
            address = doi.replace("<", "%3C").replace(">", "%3E").replace("(", "%28").replace(")", "%29")
            rest = found[1][len(doi) :]
            linked.append(f"[{escaped('doi:' + doi)}](https://doi.org/{address}){escaped(rest)}")
        else:
            linked.append(escaped(word))
    return _ARXIV.sub(r"[\1\2](https://arxiv.org/abs/\2)", " ".join(linked))


def code(text: str) -> str:
    """A span of code, in a cell of a table too."""
    if not set("|`\\") & set(text):
        return f"`{text}`"
    shown = html.escape(text, quote=False)
    for mark in "|`\\*_":
        shown = shown.replace(mark, f"&#{ord(mark)};")
    return f"<code>{shown}</code>"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in lines)


def definitions(entries: Iterable[tuple[str, str]]) -> str:
    """A list of terms and their descriptions, both Markdown."""
    return "\n\n".join(f"{term}\n:   {textwrap.indent(text, '    ').lstrip()}" for term, text in entries)


def items_of(lines: Sequence[str]) -> list[tuple[str, str]] | None:
    """(names, text) of lines such as "a, b: first.   c: second", continued on indented ones; None for other lines."""
    joined: list[str] = []
    for line in lines:
        if _ITEM.match(line):
            joined += _APART.split(line.rstrip())
        elif joined and line.startswith(" "):
            joined[-1] += " " + line.strip()
        else:
            return None
    return [(name, text) for name, _, text in (item.partition(": ") for item in joined)]


def docstring(text: str) -> str:
    """A docstring of this project as Markdown: its sections titled, its arguments a list, its examples highlighted."""
    parts, lines = [], text.splitlines()
    while lines:
        if not lines[0].strip():
            lines.pop(0)
        elif found := _HEADER.fullmatch(lines[0]):
            lines.pop(0)
            parts.append(_section(found[1], found[2], _taken(lines, lambda line: not line or line.startswith(" "))))
        else:
            paragraph = _taken(lines, lambda line: bool(line.strip()) and not _HEADER.fullmatch(line))
            parts.append(_paragraph(paragraph))
    return "\n\n".join(parts)


def _taken(lines: list[str], belongs: Callable[[str], bool]) -> list[str]:
    """The first lines that belong together, taken off the list."""
    taken = []
    while lines and belongs(lines[0]):
        taken.append(lines.pop(0))
    return taken


def _section(header: str, first: str, body: list[str]) -> str:
    inner = textwrap.dedent("\n".join(body)).strip("\n")
    if header.startswith("Example"):
        return f"**Example**\n\n```pycon\n{inner}\n```"
    if header == "Source":
        return f"**Source** {cited(' '.join([first, *inner.split()]).strip())}"
    title = f"**{_TITLES.get(header, header)}**"
    rest = _paragraph([*([first] if first else []), *inner.splitlines()])
    return f"{title}\n\n{rest}" if rest.startswith("* ") else f"{title} {rest}"


def _paragraph(lines: list[str]) -> str:
    """A list where every line belongs to an item, else running text, the blanks within a line of equations kept."""
    items = items_of(lines)
    if items is None:
        return escaped("\n".join(lines)).replace("   ", "\u2003")
    return "\n".join(
        f"* {', '.join(code(name) for name in names.split(', '))}: {escaped(text)}" for names, text in items
    )


def datasheet(text: str) -> list[tuple[str, str]]:
    """Entries of a task's docstring below its first line: (title, text), Markdown; text without a title has ""."""
    entries: list[tuple[str, str]] = []
    for line in filter(str.strip, text.splitlines()):
        if found := _ENTRY.match(line):
            title = found[1] or found[2]
            entries.append((title, line[found.end() :].strip()))
        elif entries:
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        else:
            entries.append(("", line.strip()))
    return [(title, escaped(body.lstrip(", "))) for title, body in entries]
